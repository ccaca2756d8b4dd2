"""Translation of images into images of the same size, learned from pairs (pix2pix: Isola et al. 2017,
arXiv:1611.07004)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key
from jaxgen.models.augmentation import jitter
from jaxgen.models.image_to_image import principle
from jaxgen.models.image_to_image.degradations import Degraded
from jaxgen.models.image_to_image.spec import ImageToImage, Pair


@dataclass(frozen=True, kw_only=True)
class Translation(ImageToImage):
    """A model from a batch's `source` to its `image` of the same size; the baseline is the source itself.

    All else is as in `ImageToImage`.
    """

    residual: bool = False
    """Whether the network predicts the difference from the source."""
    shift: int = 0
    """In training, both images of a pair are shifted alike by up to this many pixels
    (`jaxgen.models.augmentation.jitter`)."""
    mirror: bool = False
    """Whether both images of a pair are mirrored alike at random in training."""

    def pair_of(self, batch: Batch, key: Key, *, train: bool) -> Pair:
        source, target = batch["source"], batch["image"]
        if train:
            keys = example_keys(key, batch["index"])
            both = jitter(jnp.concatenate([source, target], -1), keys, pixels=self.shift, mirror=self.mirror)
            source, target = jnp.split(both, [source.shape[-1]], -1)
        return Pair(Degraded(source, source), target)

    def of_given(self, given: jax.Array) -> Degraded:
        return Degraded(given, given)

    def model(self) -> GenerativeModel:
        return model(self)


def translate(translation: Translation, state: TrainState, images: jax.Array) -> jax.Array:
    """Translate images [B, H, W, C'] to [B, H, W, C], in [-1, 1]."""
    return principle.apply(translation, state, images)


def model(translation: Translation) -> GenerativeModel:
    """Return the model of a spec."""
    return principle.bind(translation, "translate")
