"""Scores of a run, of images, of texts."""
