"""Samples of a model by number: sample i is the same, however many are drawn."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxgen.core.model import GenerativeModel, draws_captions, draws_classes
from jaxgen.core.state import TrainState
from jaxgen.core.types import present
from jaxgen.data.dataset import Dataset, length, pick_examples, prepared, unscale_images
from jaxgen.metrics.image_features import Progress
from jaxgen.metrics.image_source import ImageSource

BLOCK_SIZE = 250


def sample_blocks(
    model: GenerativeModel, state: TrainState, seed: int, condition: np.ndarray | None = None, **how: object
) -> Callable[[int], np.ndarray]:
    """Return `block(i) -> samples [BLOCK_SIZE, ...]`, drawn with `fold_in(key(seed), i)`.

    Args:
      condition: the condition of each sample [N, ...], by number; None: the model's default one.
      how: other keywords of the model's `sample`.
    """

    @jax.jit
    def draw(state: TrainState, seed: jax.Array, i: jax.Array, *condition: jax.Array) -> jax.Array:
        options = {"condition": condition[0]} if condition else {}
        return present(model.sample)(state, jax.random.fold_in(jax.random.key(seed), i), BLOCK_SIZE, **options, **how)

    def block(i: int) -> np.ndarray:
        rows = np.arange(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE)
        chosen = () if condition is None else (np.take(condition, rows, axis=0, mode="clip"),)
        # Seed and number come from the host, so that they can go where the state is, on any devices and processes.
        return np.asarray(draw(state, np.uint32(seed), np.uint32(i), *chosen))

    return block


def draw_samples(
    model: GenerativeModel,
    state: TrainState,
    *,
    num: int,
    seed: int,
    condition: np.ndarray | None = None,
    progress: Progress | None = None,
    **how: object,
) -> np.ndarray:
    """Draw the first `num` samples of a seed, [num, ...].

    Args:
      condition: the condition of each sample, [num, ...]; None: the model's default one.
      how: other keywords of the model's `sample`.
    """
    condition = draw_conditions(model, num) if condition is None else condition
    block = sample_blocks(model, state, seed, condition, **how)
    blocks = []
    for start in range(0, num, BLOCK_SIZE):
        if progress is not None:
            progress("drawing samples", start, num)
        blocks.append(block(start // BLOCK_SIZE))
    if progress is not None:
        progress("drawing samples", num, num)
    return np.concatenate(blocks)[:num]


def draw_conditions(model: GenerativeModel, num: int) -> np.ndarray | None:
    """Return the labels [num] of the first `num` samples, every class in turn; None for a model without classes."""
    return np.asarray(present(model.condition).of_samples(num)) if draws_classes(model) else None


def labels_of_samples(model: GenerativeModel, num: int, label: int | None) -> np.ndarray | None:
    """Return the labels [num] of the first `num` samples: every class in turn, or `label` for all of them."""
    labels = draw_conditions(model, num)
    return labels if label is None else np.full_like(labels, label)


def held_out_captions(model: GenerativeModel, data: Dataset, num: int) -> dict[str, np.ndarray]:
    """Return the keyword `condition` of samples that are compared with real images.

    It cycles through the captions [num, T] of the held-out images (of the training images where none are held out). A
    model without captions has no such keyword.
    """
    if not draws_captions(model):
        return {}
    split = data.train if data.test is None else data.test
    rows = np.arange(min(num, length(split)))  # each is read once
    captions = np.asarray(prepared(data, pick_examples(split, rows))["caption"])
    return {"condition": captions[np.arange(num) % len(rows)]}


def generated_examples(
    model: GenerativeModel, state: TrainState, *, num: int, seed: int, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Draw the first `num` images of a model as a data set: `image` uint8, and `label` [num] if it has classes."""
    examples = {"image": unscale_images(draw_samples(model, state, num=num, seed=seed, progress=progress))}
    labels = draw_conditions(model, num)
    return examples if labels is None else {**examples, "label": labels}


def sample_source(
    model: GenerativeModel,
    state: TrainState,
    *,
    num: int,
    seed: int,
    name: str,
    condition: np.ndarray | None = None,
    **how: object,
) -> ImageSource:
    """Return the first `num` images of a model as a source of uint8 images, which are drawn when they are read.

    Args:
      condition: the condition of each sample, [num, ...]; None: the model's default one.
      how: other keywords of the model's `sample`.
    """
    labels = draw_conditions(model, num)
    # Readers take less than a block at once.
    condition = labels if condition is None else condition
    block = functools.lru_cache(maxsize=2)(sample_blocks(model, state, seed, condition, **how))

    def read(start: int, stop: int) -> np.ndarray:
        first = start // BLOCK_SIZE
        images = np.concatenate([block(i) for i in range(first, -(-stop // BLOCK_SIZE))])
        return unscale_images(images[start - first * BLOCK_SIZE : stop - first * BLOCK_SIZE])

    one = jax.eval_shape(lambda state, key: present(model.sample)(state, key, 1), state, jax.random.key(0))
    return ImageSource(name, num, one.shape[1:], read, labels)
