"""The ground that all rooms stand on: the state of a run, reductions over devices, keys of examples, options, errors,
files, the terminal."""
