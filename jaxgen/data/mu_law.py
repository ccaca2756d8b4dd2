"""Mu-law companding: sound in 256 levels, finer near silence (van den Oord et al. 2016, WaveNet, section 2.2)."""

import numpy as np

LEVELS = 256
SILENCE = 128
"""The code of amplitude 0."""


def mu_law_encode(samples: np.ndarray) -> np.ndarray:
    """Amplitudes in [-1, 1], any shape, to codes 0..255 (uint8), rising with the amplitude.

    f(x) = sign(x) ln(1 + 255 |x|) / ln 256, rounded to the nearest of 256 even levels of [-1, 1].
    """
    samples = np.clip(np.asarray(samples, np.float64), -1.0, 1.0)
    companded = np.sign(samples) * np.log1p((LEVELS - 1) * np.abs(samples)) / np.log(LEVELS)
    return np.floor((companded + 1.0) / 2.0 * (LEVELS - 1) + 0.5).astype(np.uint8)


def mu_law_decode(codes: np.ndarray) -> np.ndarray:
    """Codes 0..255, any shape, to amplitudes in [-1, 1] (float32): the inverse of `mu_law_encode` on its levels."""
    companded = 2.0 * np.asarray(codes, np.float64) / (LEVELS - 1) - 1.0
    return (np.sign(companded) * np.expm1(np.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)).astype(np.float32)
