"""Foundations of all packages: the state of a run, reductions over devices, keys of examples, options, errors, files,
the terminal.
"""
