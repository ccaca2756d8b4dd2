"""Previews of samples while a model is trained: sheets of images, texts, sounds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.core.model import GenerativeModel, draws_captions
from jaxgen.core.state import TrainState
from jaxgen.core.types import Assets, PyTree, present
from jaxgen.data.dataset import Dataset, length, pick_examples, prepared
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.samples import pictures, sounds
from jaxgen.samples.numbered import draw_conditions

IMAGES_PER_SHEET = 64
EXAMPLES_PER_SHEET = 16
TEXTS_PER_SHEET = 4
LINES_PER_SHEET = 16
SOUNDS_PER_FILE = 5


class SamplePreview(NamedTuple):
    """How samples are drawn, always from the same noise, and written."""

    draw: Callable[[TrainState], np.ndarray]
    """state -> samples; called in every process."""
    write: Callable[[np.ndarray, Path], None]
    """(samples, path without its suffix) -> None: writes the file."""


def build_preview(
    model: GenerativeModel, data: Dataset, place: Callable[[PyTree], PyTree], *, seed: int
) -> SamplePreview | None:
    """Return the preview of the samples of a model of `data`; None without samples, or for data of another kind.

    A model that makes images from images shows held-out examples.

    Args:
      place: function that puts keys and examples on the devices that hold the state.
      seed: seed of the noise.
    """
    if model.mapping is not None:
        return _comparison(model, data, place, seed=seed)
    writers = {"image": _sheet_writer, "text": _text_writer, "audio": _sound_writer}
    if model.sample is None or data.kind not in writers:
        return None
    texts = LINES_PER_SHEET if "line_end" in data.assets else TEXTS_PER_SHEET
    images = IMAGES_PER_SHEET
    if (prompts := prompts_of(model, data.assets)) is not None:
        images = max(1, images // len(prompts)) * len(prompts)
    count = {"image": images, "text": texts, "audio": SOUNDS_PER_FILE}[data.kind]
    key = place(jax.random.key(2**32 - 1 - seed))  # apart from the run's own keys
    draw = jax.jit(lambda state: present(model.sample)(state, key, count))
    return SamplePreview(lambda state: np.asarray(draw(state)), writers[data.kind](model, data))


def _comparison(
    model: GenerativeModel, data: Dataset, place: Callable[[PyTree], PyTree], *, seed: int
) -> SamplePreview:
    """Return the preview of `compare` for examples spread over the split, two examples per row."""
    split = data.train if data.test is None else data.test
    rows = np.unique(np.linspace(0, length(split) - 1, EXAMPLES_PER_SHEET).round().astype(int))
    batch = {**prepared(data, pick_examples(split, rows)), "index": np.arange(len(rows), dtype=np.uint32)}
    key, batch = place((jax.random.key(2**32 - 1 - seed), batch))
    draw = jax.jit(lambda state: present(model.mapping).compare(state, key, batch))

    def write(tiles: np.ndarray, path: Path) -> None:  # [B, K, H, W, C]
        sheet = pictures.image_grid(tiles.reshape(-1, *tiles.shape[2:]), columns=2 * tiles.shape[1])
        sheet.save(path.with_suffix(".png"))

    return SamplePreview(lambda state: np.asarray(draw(state)), write)


def _sheet_writer(model: GenerativeModel, data: Dataset) -> Callable[[np.ndarray, Path], None]:
    """Return the writer of a sheet with one row for each class, or for each prompt of a model of captions."""
    prompts = prompts_of(model, data.assets)
    if prompts is not None:

        def write(images: np.ndarray, path: Path) -> None:
            rows = [images[i :: len(prompts)] for i in range(len(prompts))]
            pictures.titled_rows(rows, prompts).save(path.with_suffix(".png"))

        return write
    labels = draw_conditions(model, IMAGES_PER_SHEET)
    return lambda images, path: pictures.sample_sheet(images, labels).save(path.with_suffix(".png"))


def prompts_of(model: GenerativeModel, assets: Assets) -> list[str] | None:
    """Return the prompts of a caption model's samples, in turn; None for other models."""
    return assets["prompts"] if draws_captions(model) else None


def _text_writer(model: GenerativeModel, data: Dataset) -> Callable[[np.ndarray, Path], None]:
    del model
    vocabulary = vocabulary_of(data.assets)

    def write(samples: np.ndarray, path: Path) -> None:
        texts = [vocabulary.decode(tokens) for tokens in samples]
        by_lines = "line_end" in data.assets
        path.with_suffix(".txt").write_text(as_lines(texts) if by_lines else texts_with_rules(texts))

    return write


def _sound_writer(model: GenerativeModel, data: Dataset) -> Callable[[np.ndarray, Path], None]:
    """Return the writer of sounds, one after another, each as long as `Speech.sample_lengths` says."""
    lengths = None if model.speech is None else model.speech.sample_lengths(SOUNDS_PER_FILE)

    def write(samples: np.ndarray, path: Path) -> None:
        sounds.save_with_picture(sounds.in_a_row(samples, lengths), path, data.assets["sample_rate"])

    return write


def as_lines(texts: Sequence[str]) -> str:
    """Return the first line of each text, as lines."""
    return "".join(first_line(text) + "\n" for text in texts)


def first_line(text: str) -> str:
    """Return the part of a text before its first line end."""
    return text.split("\n", 1)[0]


def texts_with_rules(texts: list[str]) -> str:
    """Join texts with a rule between them."""
    return f"\n{'-' * 80}\n".join(texts) + "\n"
