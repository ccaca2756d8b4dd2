"""Mu-law companding: sound in 256 levels, finer near silence (van den Oord et al. 2016, WaveNet, section 2.2)."""

from types import ModuleType
from typing import TypeVar

import jax
import numpy as np

from jaxgen.core.errors import UserError

Sound = TypeVar("Sound", np.ndarray, jax.Array)
LEVELS = 256
SILENCE = 128
"""Code of amplitude 0."""


def mu_law_encode(samples: np.ndarray) -> np.ndarray:
    """Encode amplitudes in [-1, 1], of any shape, as codes 0..255 (uint8), increasing with the amplitude.

    f(x) = sign(x) ln(1 + 255 |x|) / ln 256, rounded to the nearest of 256 even levels of [-1, 1]. Louder samples are
    clipped.

    Raises:
      UserError: a sample is not a number.
    """
    samples = np.clip(np.asarray(samples, np.float64), -1.0, 1.0)
    if np.isnan(samples).any():
        raise UserError("The sound has samples that are not numbers (nan): leave them out.")
    return codes_of(samples).astype(np.uint8)


def mu_law_decode(codes: np.ndarray) -> np.ndarray:
    """Decode codes 0..255, of any shape, to amplitudes in [-1, 1] (float32): the inverse of `mu_law_encode`."""
    return amplitudes_of(np.asarray(codes, np.float64)).astype(np.float32)


def codes_of(amplitudes: Sound, xp: ModuleType = np, levels: int = LEVELS) -> Sound:
    """Return the codes, as floats, of amplitudes in [-1, 1]; `xp` is NumPy or a module like it, such as jax.numpy."""
    companded = xp.sign(amplitudes) * xp.log1p((LEVELS - 1) * xp.abs(amplitudes)) / np.log(LEVELS)
    return xp.floor((companded + 1.0) / 2.0 * (levels - 1) + 0.5)


def amplitudes_of(codes: Sound, xp: ModuleType = np, levels: int = LEVELS) -> Sound:
    """Return the amplitudes of codes, floats within 0..levels - 1 that may lie between two levels."""
    companded = 2.0 * codes / (levels - 1) - 1.0
    return xp.sign(companded) * xp.expm1(xp.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)
