"""Random weights and images for a network, the same for the script that makes a reference and for the tests."""

from collections.abc import Mapping, Sequence

import numpy as np


def random_state(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Arrays by PyTorch's names, in the order of `shapes`, at He et al.'s scale, so that nothing vanishes."""
    generator = np.random.default_rng(0)
    state = {}
    for name, shape in shapes.items():
        kind = name.split(".")[-1]
        if kind == "num_batches_tracked":
            state[name] = np.array(1000, np.int64)
            continue
        if kind == "running_var" or (kind == "weight" and len(shape) == 1):
            array = generator.uniform(0.5, 1.5, shape)
        elif kind == "weight":
            array = generator.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            array = 0.2 * generator.standard_normal(shape)
        state[name] = array.astype(np.float32)
    return state


def random_images() -> np.ndarray:
    """[2, 24, 24, 3] uint8."""
    return np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3)).astype(np.uint8)
