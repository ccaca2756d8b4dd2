"""Image sets of tensorflow-datasets by name, read without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.dataset import Dataset, Split
from jaxgen.data.identity import Identity
from jaxgen.data.images import megabytes, resize_array
from jaxgen.data.tfds_builder import Examples, find_builder, train_and_test

STYLE_SPLITS = ("trainA", "trainB"), ("testA", "testB")


def load_tfds(
    name: str,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    data_dir: str | Path | None = None,
    resident_megabytes: float = 2048,
    known_names: Sequence[str] = (),
) -> Dataset:
    """Load the tensorflow-datasets set `name` ("cifar10", "celeb_a:2.1.0", "cycle_gan/horse2zebra").

    Examples are `image` uint8 [image_size, image_size, channels] and, if the set has it, `label` int32. Sets of two
    unpaired collections (splits trainA and trainB, such as `cycle_gan/*`) are joined, with `style` uint8 0 for A, 1 for
    B. The test split is "test" or else "validation". `data_dir` is the folder of the prepared set (default: that of
    tensorflow-datasets), with array_record files; if it has none, the set is prepared there, provided TensorFlow is
    installed. If the images take more than `resident_megabytes` as uint8, they are decoded on access.

    Raises:
      UserError: the name is unknown (`known_names` are suggested besides those of tensorflow-datasets), the set is not
        prepared and cannot be, it has no images, or an image size is required.
    """
    builder = find_builder(name, data_dir, known_names)
    features = builder.info.features
    if "image" not in features:
        raise UserError(f"The set {name} has no feature named image, only {', '.join(features)}: choose an image set.")
    shape = features["image"].shape  # e.g. (32, 32, 3), None where it varies
    if image_size is None and (shape[0] is None or shape[0] != shape[1]):
        raise UserError(f"The images of {name} are not all squares of one size: give --image-size.")
    size, channels = image_size or shape[0], channels or (1 if shape[-1] == 1 else 3)

    if set(STYLE_SPLITS[0]) <= set(builder.info.splits):
        splits = {"train": STYLE_SPLITS[0], "test": STYLE_SPLITS[1]}
    else:
        train, test = train_and_test(builder, name)
        splits = {"train": (train,), "test": (test,) if test else ()}
    has_label = "label" in features and features["label"].shape == ()
    sources = {
        part: TfdsSource([builder.as_data_source(split=split) for split in chosen], size, channels, has_label)
        for part, chosen in splits.items()
        if all(split in builder.info.splits for split in chosen) and chosen
    }
    resident = megabytes(sum(map(len, sources.values())), size, channels) <= resident_megabytes
    parts: dict[str, Split] = {part: source.stack() if resident else source for part, source in sources.items()}
    assets = {"class_names": list(features["label"].names)} if has_label and features["label"].names else {}
    counts = ", ".join(f"{len(source)} to {part}" for part, source in sources.items())
    identity = Identity({name: f"{builder.info.version}: {counts}"})
    return Dataset(name, parts["train"], parts.get("test"), assets=assets, identity=identity)


class TfdsSource:
    """Random access to one or more splits end to end, decoded on access."""

    def __init__(self, sources: Sequence[Examples], image_size: int, channels: int, has_label: bool):
        self.sources, self.image_size, self.channels, self.has_label = sources, image_size, channels, has_label
        self.starts = np.cumsum([0, *(len(source) for source in sources)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        style = int(np.searchsorted(self.starts, index, side="right")) - 1
        stored = self.sources[style][int(index - self.starts[style])]
        image = np.asarray(stored["image"])
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
        example = {"image": resize_array(image[..., :3], self.image_size, self.channels)}
        if self.has_label:
            example["label"] = np.asarray(stored["label"], np.int32)
        if len(self.sources) > 1:
            example["style"] = np.asarray(style, np.uint8)
        return example

    def stack(self) -> dict[str, np.ndarray]:
        """Return all examples, in memory."""
        first = self[0]
        arrays = {key: np.empty((len(self), *value.shape), value.dtype) for key, value in first.items()}
        for i in range(len(self)):
            for key, value in self[i].items():
                arrays[key][i] = value
        return arrays
