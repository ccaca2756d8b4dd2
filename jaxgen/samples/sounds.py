"""Writing sounds to files."""

import wave
from pathlib import Path

import numpy as np

from jaxgen.data.mu_law import mu_law_decode
from jaxgen.samples import pictures

GAP = 800
"""Number of samples of silence between two sounds in a row."""


def in_a_row(samples: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Join sounds [N, T], mu-law codes or amplitudes in [-1, 1], each cut to its length, with gaps, as amplitudes."""
    if np.issubdtype(samples.dtype, np.integer):
        samples = mu_law_decode(samples)
    lengths = np.full(len(samples), samples.shape[1]) if lengths is None else lengths
    silence = np.zeros(GAP, np.float32)
    pieces = [piece for sound, length in zip(samples, lengths, strict=True) for piece in (sound[:length], silence)]
    return np.concatenate(pieces[:-1])


def save_wav(amplitudes: np.ndarray, path: Path, sample_rate: int) -> None:
    """Write amplitudes [T] in [-1, 1] as 16-bit PCM with one channel."""
    values = np.round(np.clip(amplitudes, -1.0, 1.0) * 32767.0).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(values.tobytes())


def save_with_picture(amplitudes: np.ndarray, path: Path, sample_rate: int) -> None:
    """Write the sound (.wav) and its spectrogram (.png) side by side; the path's suffix is replaced."""
    save_wav(amplitudes, path.with_suffix(".wav"), sample_rate)
    pictures.spectrogram(amplitudes, sample_rate).save(path.with_suffix(".png"))
