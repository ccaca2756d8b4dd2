"""Samples drawn by number, shown and written (sheets, texts, sounds), and their scores in training."""
