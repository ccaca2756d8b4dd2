"""The benchmark's entries in jaxgen with every CPU core as a device, as with `--devices N` in a run.

It is imported before jax has a backend, in a process of its own.
"""

from jaxgen.training.parallel import cpu_cores, use_cores_as_devices

use_cores_as_devices(cpu_cores())

from peers_jaxgen import BUILDERS  # noqa: E402, F401
