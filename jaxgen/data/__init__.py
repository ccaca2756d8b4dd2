"""Data sets: those that come with the package, folders of images, texts, sound and tensorflow-datasets."""

from jaxgen.core.types import Batch
from jaxgen.data.dataset import (
    Dataset,
    Source,
    Split,
    as_stored,
    example_batch,
    length,
    read_examples,
    scale_images,
    unscale_images,
)
from jaxgen.data.embedded_sets import EMBEDDED, EmbeddedSet
from jaxgen.data.loading import load
from jaxgen.data.order import epoch_order
from jaxgen.data.stream import stream_batches

__all__ = [
    "EMBEDDED",
    "Batch",
    "Dataset",
    "EmbeddedSet",
    "Source",
    "Split",
    "as_stored",
    "epoch_order",
    "example_batch",
    "length",
    "load",
    "read_examples",
    "scale_images",
    "stream_batches",
    "unscale_images",
]
