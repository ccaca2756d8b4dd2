"""Sounds as files, and the picture beside them."""

import numpy as np
from scipy.io import wavfile

from jaxgen.data.mu_law import mu_law_decode
from jaxgen.samples.pictures import spectrogram
from jaxgen.samples.sounds import GAP, in_a_row, save_wav, save_with_picture


def test_a_file_holds_the_amplitudes_in_16_bits(tmp_path):
    amplitudes = np.asarray([0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 1 / 32767])
    save_wav(amplitudes, tmp_path / "x.wav", 8000)
    rate, values = wavfile.read(tmp_path / "x.wav")
    assert (rate, values.dtype) == (8000, np.int16)
    assert values.tolist() == [0, 16384, -16384, 32767, -32767, 32767, 1]


def test_sounds_in_a_row_are_cut_to_their_lengths_and_parted_by_silence():
    codes = np.random.default_rng(0).integers(0, 256, (2, 50))
    sound = in_a_row(codes, np.asarray([50, 20]))
    np.testing.assert_array_equal(sound[:50], mu_law_decode(codes[0]))
    assert not sound[50 : 50 + GAP].any()
    np.testing.assert_array_equal(sound[50 + GAP :], mu_law_decode(codes[1, :20]))
    amplitudes = np.linspace(-1, 1, 30).reshape(1, 30)
    np.testing.assert_array_equal(in_a_row(amplitudes), amplitudes[0])


def test_a_tone_is_bright_at_its_frequency():
    """Of two tones, the higher one is brighter at a place further up in the picture."""
    time = np.arange(8000) / 8000
    low, high = (np.asarray(spectrogram(np.sin(2 * np.pi * f * time), 8000), float).sum((1, 2)) for f in (1000, 3000))
    difference = high - low
    brighter, darker = np.argmax(difference), np.argmin(difference)
    assert brighter < darker  # low frequencies are at the bottom


def test_the_picture_lies_beside_the_sound(tmp_path):
    save_with_picture(np.sin(np.arange(3000)), tmp_path / "tone", 8000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tone.png", "tone.wav"]


def test_the_shortest_sound_has_a_picture():
    assert spectrogram(np.zeros(1), 8000).size == spectrogram(np.zeros(9000), 8000).size
