"""Arrays of many types, the same for the script that lets PyTorch write them and for the test that reads them."""

import numpy as np

DTYPES = ("float16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8")


def arrays() -> dict[str, np.ndarray]:
    """One array [3, 4] of each type by its name, truth values and a scalar."""
    generator = np.random.default_rng(0)
    named = {name: generator.uniform(0, 100, (3, 4)).astype(name) for name in DTYPES}
    return {**named, "bool": generator.random((3, 4)) > 0.5, "scalar": np.array(7, np.int64)}
