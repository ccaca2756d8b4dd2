"""Data sets as the training loop sees them: named arrays, or a source of examples by number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.types import AnyArray, Batch, Json
from jaxgen.data.identity import Identity

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Arrays = Mapping[str, np.ndarray]
"""Named arrays, all with the same first axis."""
Images = TypeVar("Images", np.ndarray, jax.Array)


class Source(Protocol):
    """Examples by number, for sets that do not fit on the device (grain's random access source)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, np.ndarray]: ...


Split = Arrays | Source


def scaled(images: Images) -> Images:
    """Scale images from uint8 in 0..255 to float32 in [-1, 1], by NumPy or jax."""
    return images.astype(np.float32) / 127.5 - 1.0


def scale_images(batch: Batch) -> Batch:
    """Scale `image` from uint8 [..., H, W, C] in 0..255 to float32 in [-1, 1]; keep the other entries."""
    return {**batch, "image": scaled(batch["image"])}


def as_stored(batch: Batch) -> Batch:
    """Return the batch unchanged: the `prepare` of text and audio, whose tokens are used as they are."""
    return batch


def unscale_images(images: AnyArray) -> np.ndarray:
    """Invert `scale_images` for float images in [-1, 1]: return uint8 in 0..255, rounded to nearest."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Dataset:
    """A named set of examples.

    A split is either a mapping of arrays, all with the same first axis (the loop then keeps it on the device as stored,
    uint8 images too), or a `Source` (the loop then streams it).
    """

    name: str
    train: Split
    test: Split | None = None
    kind: str = "image"
    """Modality of the examples: "image", "text" or "audio"."""
    prepare: Callable[[Batch], Batch] = scale_images
    """Pure jax function applied to each batch inside the compiled step."""
    assets: Json = field(default_factory=dict)
    """JSON-serializable facts that a run stores to use its model: class names, vocabulary, sample rate."""
    identity: Identity | None = None
    """Names and digests by which a run recognizes its data; None: unknown."""
    facts: tuple[str, ...] = ()
    """Additional parts of the line that `described` returns."""
    notes: tuple[str, ...] = ()
    """Lines for the user who starts a run, about files that were left out."""


def described(data: Dataset) -> str:
    """Return one line about a data set: "549 images (27 held out), 6 classes by sub-folder"."""
    held_out = 0 if data.test is None else length(data.test)
    what = "images" if data.kind == "image" else "examples"
    count = f"{length(data.train) + held_out:,} {what} ({held_out:,} held out)"
    return ", ".join((f"{data.name}: {count}", *data.facts))


def is_resident(split: Split | None) -> "TypeIs[Arrays]":
    """Return whether a split is arrays (kept on the devices) rather than a source (streamed)."""
    return isinstance(split, Mapping)


def length(split: Split) -> int:
    """Return the number of examples of a split."""
    return len(next(iter(split.values()))) if is_resident(split) else len(split)


def read_examples(split: Split, start: int, stop: int) -> dict[str, np.ndarray]:
    """Return examples start..stop of a split, stacked, as stored (not `prepare`d), up to the end of the split."""
    stop = min(stop, length(split))
    if is_resident(split):
        return {name: np.asarray(values[start:stop]) for name, values in split.items()}
    examples = [split[i] for i in range(start, stop)]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def pick_examples(split: Split, rows: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
    """Return the examples with these numbers, stacked, as stored."""
    if is_resident(split):
        return {name: np.asarray(values)[rows] for name, values in split.items()}
    examples = [split[int(row)] for row in rows]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def prepared(data: Dataset, examples: Arrays) -> Batch:
    """Return stored examples as a model receives them; values not computed by jax in `prepare` stay as they are."""
    return data.prepare(cast(Batch, examples))


def example_batch(data: Dataset, size: int) -> Batch:
    """Return the first `size` training examples in the form a model receives: `prepare`d, with their `index`."""
    batch = data.prepare({name: jnp.asarray(x) for name, x in read_examples(data.train, 0, size).items()})
    return {**batch, "index": jnp.arange(len(next(iter(batch.values()))), dtype=jnp.uint32)}
