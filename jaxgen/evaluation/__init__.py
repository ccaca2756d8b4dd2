"""Scores of runs, images and texts."""
