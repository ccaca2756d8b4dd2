"""Emoji from one style to the other and back, without pairs (Zhu et al. 2017, https://arxiv.org/abs/1703.10593).

    python -m jaxgen.experiments.emoji_cycle_gan
    python -m jaxgen.experiments.emoji_cycle_gan --data cycle_gan/horse2zebra --data-dir FOLDER --preset full
    python -m jaxgen.experiments.emoji_cycle_gan --data folder/of/horses --target folder/of/zebras --image-size 64
    jaxgen translate runs/emoji_cycle_gan/001 face.png --out translated
    jaxgen translate runs/emoji_cycle_gan/001 face.png --back --out translated

Google's emoji become Twitter's, and the other way round. The pairs are not used in training: eval/generator/ compares
the translations of held-out emoji with their true counterparts, eval/baseline/ the untranslated emoji. For two
collections without counterparts, such as horses and zebras, both are meaningless (--best-metric None). With --residual
the generators begin as the identity, and --halvings 0 keeps small details; the experiment's README says which weights
suit them.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import CountFromZero, DepthFromZero, NonNegativeFloat, within
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.experiments._translation import (
    TRANSLATION,
    TranslationConfig,
    TranslatorOptions,
    load_translation,
    optimizer_of,
    patch_halvings,
)
from jaxgen.models.image_to_image import CycleGAN
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class CycleOptions:
    """The losses beside the adversarial ones, and the buffer of earlier translations."""

    cycle_weight: NonNegativeFloat = 10.0
    """Weight of the cycle consistency: an image translated there and back should be unchanged."""
    identity_weight: NonNegativeFloat = 5.0
    """Weight of the identity loss: a generator should not change images of its own target side."""
    weight_rise_steps: CountFromZero = 0
    """Number of steps over which --cycle-weight and --identity-weight rise from a tenth of their values, for
    --residual. 0: they are constant."""
    buffer_size: Annotated[int, *within(0, 10**6)] = 50
    """Number of earlier translations of each side that the discriminators may see again. 0: no buffer."""


@dataclass(frozen=True)
class NetworkOptions(TranslatorOptions):
    """The networks."""

    halvings: Annotated[int, *within(0, 16)] = 2
    """Number of times that the generators halve the size."""
    blocks: DepthFromZero = 3
    """Number of residual blocks of the generators."""
    residual: bool = False
    """Whether the generators predict what is added to an image (initially nothing) instead of the image."""
    norm: bool = True
    """Whether the generators have instance norm, as in the paper."""


@dataclass(frozen=True)
class Config(TranslationConfig):
    """Options of emoji_cycle_gan."""

    model: CycleOptions = CycleOptions()
    network: NetworkOptions = NetworkOptions()


DEFAULT = Config().replace(**TRANSLATION, batch_size=8, best_metric="eval/generator/l1", best_is="min")


def load_data(config: Config) -> Dataset:
    """Load both collections, paired at random."""
    return load_translation(config, paired=False)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `CycleGAN` of two ResNets and two PatchGANs."""
    channels = assets["image_shape"][-1]
    return CycleGAN(
        ResNetTranslator(
            channels,
            config.network.width,
            config.network.halvings,
            config.network.blocks,
            residual=config.network.residual,
            norm=config.network.norm,
        ),
        PatchDiscriminator(config.network.discriminator_width, patch_halvings(config.data.image_size)),
        generator_optimizer=optimizer_of(config),
        discriminator_optimizer=optimizer_of(config),
        cycle_weight=config.model.cycle_weight,
        identity_weight=config.model.identity_weight,
        weight_rise_steps=config.model.weight_rise_steps,
        buffer_size=config.model.buffer_size,
        shift=config.augmentation.shift,
        mirror=config.augmentation.mirror,
        ema_decay=config.optimizer.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="translation without pairs",
    data="emoji, --data ... [--target ...]",
    expected_time="30 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=20, width=8, discriminator_width=8, blocks=1, eval_every=10, sample_every=10, checkpoint_every=10
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=270_000,  # 200 epochs of horse2zebra
            batch_size=1,
            image_size=256,
            shift=15,
            width=64,
            discriminator_width=64,
            blocks=9,
            ema_decay=None,
            eval_every=10_000,
            sample_every=10_000,
            checkpoint_every=10_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
