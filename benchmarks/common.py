"""What every library is given: sizes, data, and the settings of the optimisers."""

import os

import numpy as np

BATCH = 128
LATENT_SIZE = 100
LEARNING_RATE, BETA1, BETA2, EPSILON = 2e-4, 0.5, 0.999, 1e-8
SLOPE = 0.2  # of the leaky ReLU
MLP_GENERATOR, MLP_DISCRIMINATOR = (128, 256, 512, 1024), (512, 256, 128)
DCGAN_GENERATOR, DCGAN_DISCRIMINATOR = (256, 128, 64), (64, 128)


def images() -> np.ndarray:
    """[8192, 28, 28, 1] uint8."""
    return np.random.default_rng(0).integers(0, 256, (8192, 28, 28, 1), np.uint8)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
