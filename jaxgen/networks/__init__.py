"""Flax linen modules and nothing else: one file per architecture."""
