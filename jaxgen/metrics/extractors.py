"""Feature extractors: networks whose features and classes are used to compare images.

| name | network | images | features | classes |
|---|---|---|---|---|
| `mnist` | the project's classifier (`experiments/mnist_classifier`) | 28x28 gray | 128 | 10 |
| `efficientnet_lite0` | EfficientNet-Lite0, trained on ImageNet (Tan & Le 2019, arXiv:1905.11946) | any | 1280 | 1000 |
| `inception` | Inception-v3 of the FID paper (Heusel et al. 2017, arXiv:1706.08500), your weights | any | 2048 | 1008 |

Scores in the features of one extractor cannot be compared with those of another: only `inception` gives the FID and the
Inception score of the literature.
"""

import functools
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.types import AnyArray, Variables
from jaxgen.metrics.resizing import resize_bilinear
from jaxgen.metrics.weight_files import file_sha256, inception_variables, load_variables
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.efficientnet import EfficientNetLite0
from jaxgen.networks.inception import InceptionV3

FeatureMaps = Callable[[Variables, jax.Array], list[jax.Array]]
"""Function from (variables, images [B, H, W, C]) to maps [B, h, w, c] of several layers."""

MNIST_SHAPE = (28, 28, 1)


class FeatureExtractor(NamedTuple):
    """A function from images to features and class logits, and its origin."""

    name: str
    num_features: int
    """F, the number of features."""
    weights_sha256: str
    """Hash of the file of weights, which tells whether two scores are comparable."""
    resize: str
    """Description of how images are resized and scaled, for the record of a score."""
    image_shape: tuple[int, int, int] | None
    """The only shape supported, (H, W, C); None: any size, gray or RGB."""
    batch_size: int
    """Recommended number of images in a batch."""
    extract: Callable[[AnyArray], tuple[jax.Array, jax.Array]]
    """Compiled function from uint8 images [B, H, W, C] in 0..255 to (features [B, F], logits [B, K]), float32."""


def load_extractor(name: str, weights: Path | None = None) -> FeatureExtractor:
    """Load the extractor called `name`: `mnist`, `efficientnet_lite0`, or `inception` with its file of `weights`.

    Raises:
      UserError: the name is unknown, or the file of weights is missing, not needed, or of another network.
    """
    if name not in EXTRACTORS:
        raise UserError(f"There is no feature extractor {name!r}: use {', '.join(EXTRACTORS)}.")
    if name == "inception":
        if weights is None:
            raise UserError(
                "The extractor 'inception' needs its weights, which do not come with jaxgen: name the file "
                "pt_inception-2015-12-05-6726825d.pth of pytorch-fid with --weights FILE."
            )
        return _inception(Path(weights))
    if weights is not None:
        raise UserError(f"The weights of the extractor {name!r} come with jaxgen: leave out --weights.")
    return EXTRACTORS[name]()


def extractor_for(image_shape: tuple[int, ...]) -> str:
    """Return the name of the default extractor for images of a shape (H, W, C)."""
    return "mnist" if tuple(image_shape) == MNIST_SHAPE else "efficientnet_lite0"


def check_shape(extractor: FeatureExtractor, image_shape: tuple[int, ...]) -> None:
    """Refuse images that an extractor cannot read.

    Raises:
      UserError: the extractor does not support the shape.
    """
    if extractor.image_shape is not None and tuple(image_shape) != extractor.image_shape:
        raise UserError(
            f"The extractor {extractor.name!r} reads images of {say_shape(extractor.image_shape)}, not "
            f"{say_shape(image_shape)}: choose another with --extractor."
        )


def say_shape(shape: Sequence[int]) -> str:
    """Return a shape as text, such as 28x28x1."""
    return "x".join(map(str, shape))


def _build(
    name: str,
    network: nn.Module,
    variables: Variables,
    prepare: Callable[[jax.Array], jax.Array],
    **facts: Any,
) -> FeatureExtractor:
    """Build an extractor from a network with a method `features`, followed by a Dense layer `head`."""

    @jax.jit
    def extract(variables: Variables, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):  # otherwise an accelerator rounds products to fewer bits
            features = cast(jax.Array, network.apply(variables, prepare(images.astype(jnp.float32)), method="features"))
            logits = network.apply(variables, features, method=lambda module, features: module.head(features))
            return features, cast(jax.Array, logits)

    return FeatureExtractor(name=name, extract=functools.partial(extract, jax.device_put(variables)), **facts)


def _shipped(name: str) -> tuple[Variables, str]:
    """Load (variables, hash) of a file of weights that comes with the package."""
    with as_file(files("jaxgen.metrics.weights") / f"{name}.safetensors") as path:
        return load_variables(path), file_sha256(path)


@functools.cache  # compiled once per process
def _mnist() -> FeatureExtractor:
    variables, sha256 = _shipped("mnist")
    return _build(
        "mnist",
        ConvClassifier(),
        variables,
        lambda images: images / 127.5 - 1.0,
        num_features=128,
        weights_sha256=sha256,
        resize="none",
        image_shape=MNIST_SHAPE,
        batch_size=250,
    )


def _as_rgb(images: jax.Array) -> jax.Array:
    return jnp.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


@functools.cache
def _efficientnet_lite0() -> FeatureExtractor:
    variables, sha256 = _shipped("efficientnet_lite0")
    return _build(
        "efficientnet_lite0",
        EfficientNetLite0(),
        variables,
        lambda images: (resize_bilinear(_as_rgb(images), 224, method="half_pixel") - 127.0) / 128.0,
        num_features=1280,
        weights_sha256=sha256,
        resize="bilinear to 224x224, half-pixel centres, no antialiasing; (x - 127) / 128",
        image_shape=None,
        batch_size=32,
    )


def efficientnet_maps() -> tuple[Variables, FeatureMaps]:
    """Return (variables, function) for EfficientNet-Lite0's maps at an image's own size, for perceptual losses.

    The function takes the variables and images [B, H, W, 1 or 3] in [-1, 1].
    """
    variables, _ = _shipped("efficientnet_lite0")

    def maps(variables: Variables, images: jax.Array) -> list[jax.Array]:
        scaled = (_as_rgb(images) * 127.5 + 0.5) / 128.0
        return cast(list[jax.Array], EfficientNetLite0().apply(variables, scaled, method="maps"))

    return variables, maps


def _inception(weights: Path) -> FeatureExtractor:
    variables = inception_variables(weights)
    return _build(
        "inception",
        InceptionV3(),
        variables,
        lambda images: (resize_bilinear(_as_rgb(images), 299, method="tensorflow1") - 128.0) / 128.0,
        num_features=2048,
        weights_sha256=file_sha256(weights),
        resize="bilinear to 299x299 as TensorFlow 1 does (align_corners=False, no half-pixel centres); (x - 128) / 128",
        image_shape=None,
        batch_size=32,
    )


EXTRACTORS: dict[str, Callable[..., FeatureExtractor]] = {
    "mnist": _mnist,
    "efficientnet_lite0": _efficientnet_lite0,
    "inception": _inception,
}
