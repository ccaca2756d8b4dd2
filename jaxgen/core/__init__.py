"""Foundations of all packages: run state, reductions, example keys, options, errors, files, the terminal."""
