"""Emoji from one style to the other and back, without pairs (Zhu et al. 2017, https://arxiv.org/abs/1703.10593).

    python -m jaxgen.experiments.emoji_cycle_gan
    python -m jaxgen.experiments.emoji_cycle_gan --data cycle_gan/horse2zebra --data-dir FOLDER --preset full
    python -m jaxgen.experiments.emoji_cycle_gan --data folder/of/horses --target folder/of/zebras --image-size 64
    jaxgen translate runs/emoji_cycle_gan/001 face.png --out translated
    jaxgen translate runs/emoji_cycle_gan/001 face.png --back --out translated

Google's emoji become Twitter's, and the other way round. Which belongs to which is not told in training;
eval/generator/ says how near the translations of held-out emoji come to the true counterparts, eval/baseline/ how near
they are as they are. With --residual the generators begin as the identity, and --halvings 0 keeps what is small; with
which weights, the experiment's README says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, DepthFromZero, NonNegativeFloat, Text, within
from jaxgen.data import Dataset
from jaxgen.experiments._scored import LeastIsBest
from jaxgen.experiments._translation import TranslationConfig, load_translation, optimizer_of, patch_halvings
from jaxgen.models.image_to_image import CycleGAN
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(LeastIsBest, TranslationConfig):
    """Options of emoji_cycle_gan."""

    batch_size: Count = 8
    """Examples per step, over all devices together."""
    best_metric: Text | None = "eval/generator/l1"
    """Keep in checkpoints_best/ the checkpoint with the best value of this evaluation metric. All of eval/generator/ is
    of held-out pairs: of two collections without any, horses and zebras, it tells nothing (--best-metric None)."""
    halvings: Annotated[int, *within(0, 16)] = 2
    """How often the generators halve the size."""
    blocks: DepthFromZero = 3
    """Residual blocks of the generators."""
    residual: bool = False
    """The generators give what is to be added to an image, at first nothing, rather than the image."""
    norm: bool = True
    """The generators have instance norm, as in the paper."""
    cycle_weight: NonNegativeFloat = 10.0
    """Weight of the cycle consistency: there and back again, an image should be the same."""
    identity_weight: NonNegativeFloat = 5.0
    """Weight of the identity loss: images of a generator's own target side should stay as they are."""
    weight_rise_steps: CountFromZero = 0
    """--cycle-weight and --identity-weight rise from a tenth over this many steps, for --residual. 0: they are whole
    from the start."""
    buffer_size: Annotated[int, *within(0, 10**6)] = 50
    """Earlier translations of each side that the discriminators see again. 0: none."""


def load_data(config: Config) -> Dataset:
    """Both collections, by chance side by side."""
    return load_translation(config, paired=False)


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Two ResNets and two PatchGANs."""
    channels = assets["image_shape"][-1]
    return CycleGAN(
        ResNetTranslator(
            channels, config.width, config.halvings, config.blocks, residual=config.residual, norm=config.norm
        ),
        PatchDiscriminator(config.discriminator_width, patch_halvings(config.image_size)),
        generator_optimizer=optimizer_of(config),
        discriminator_optimizer=optimizer_of(config),
        cycle_weight=config.cycle_weight,
        identity_weight=config.identity_weight,
        weight_rise_steps=config.weight_rise_steps,
        buffer_size=config.buffer_size,
        shift=config.shift,
        mirror=config.mirror,
        ema_decay=config.ema_decay,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="translation without pairs",
    data="emoji, --data ... [--target ...]",
    expected_time="30 min on 1 CPU core",
    presets={
        "quick": Config(
            steps=20, width=8, discriminator_width=8, blocks=1, eval_every=10, sample_every=10, checkpoint_every=10
        ),
        "default": Config(),
        "full": Config(
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
