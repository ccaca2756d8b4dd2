"""Runs: experiments, runs opened again, first stages, and weights to begin with."""
