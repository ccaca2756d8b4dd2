"""Emoji from one style to the other, learned from pairs (pix2pix: Isola et al. 2017, https://arxiv.org/abs/1611.07004).

    python -m jaxgen.experiments.emoji_pix2pix
    python -m jaxgen.experiments.emoji_pix2pix --data folder/of/sources --target folder/of/targets --image-size 64
    jaxgen translate runs/emoji_pix2pix/001 face.png --out translated

Google's emoji become Twitter's. eval/generator/psnr and ssim are those of held-out emoji; eval/baseline/ has those of
Google's emoji, untranslated.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import within
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.experiments._gan import AdversarialLossOptions
from jaxgen.experiments._translation import (
    TRANSLATION,
    TranslationConfig,
    TranslatorOptions,
    load_translation,
    optimizer_of,
    patch_halvings,
)
from jaxgen.models.image_to_image import Adversary, Translation
from jaxgen.networks.translators import PatchDiscriminator, UNetTranslator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class NetworkOptions(TranslatorOptions):
    """The networks."""

    halvings: Annotated[int, *within(1, 16)] = 4
    """Number of times that the U-Net halves the size."""


@dataclass(frozen=True)
class Config(TranslationConfig):
    """Options of emoji_pix2pix."""

    model: AdversarialLossOptions = AdversarialLossOptions()
    network: NetworkOptions = NetworkOptions()


DEFAULT = Config().replace(
    **TRANSLATION,
    batch_size=16,
    best_metric="eval/generator/ssim",
    adversarial_weight=0.01,  # beside the L1 distance: the paper's 1 to 100
)


def load_data(config: Config) -> Dataset:
    """Load the pairs of images."""
    return load_translation(config, paired=True)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `Translation` by a U-Net and a PatchGAN."""
    channels = assets["image_shape"][-1]
    adversary = Adversary(
        PatchDiscriminator(config.network.discriminator_width, patch_halvings(config.data.image_size)),
        optimizer_of(config),
        config.model.adversarial_loss,
        config.model.adversarial_weight,
    )
    return Translation(
        UNetTranslator(channels, config.network.width, config.network.halvings),
        optimizer=optimizer_of(config),
        adversary=adversary,
        shift=config.augmentation.shift,
        mirror=config.augmentation.mirror,
        ema_decay=config.optimizer.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="translation of pairs",
    data="emoji, --data ... --target ...",
    expected_time="9 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=40, width=8, discriminator_width=8, eval_every=20, sample_every=20, checkpoint_every=20
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=200_000,
            batch_size=1,
            image_size=256,
            shift=15,
            width=64,
            discriminator_width=64,
            halvings=8,
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
