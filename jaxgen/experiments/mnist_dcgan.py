"""A convolutional GAN on MNIST, after DCGAN (Radford et al. 2016, https://arxiv.org/abs/1511.06434).

python -m jaxgen.experiments.mnist_dcgan
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, NonNegativeFloat, PositiveFloat, Size, Widths
from jaxgen.data import load
from jaxgen.experiments._gan import MNISTGANConfig, PenaltyNames, build_gan
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(MNISTGANConfig):
    """Options of mnist_dcgan."""

    steps: Count = 9_380
    """How many training steps the run has in all (938 are one epoch of MNIST)."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 14
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    log_every: CountFromZero = 50
    """Steps between lines of metrics.jsonl (means over those steps). 0: only at the end."""
    sample_every: CountFromZero = 938
    """Steps between sample sheets, always of the same latents. 0: only at the end."""
    checkpoint_every: CountFromZero = 938
    """Steps between checkpoints; one is always kept at the end. 0: only at the end."""
    eval_every: CountFromZero = 938
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    generator_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate for the discriminator."""
    clip_norm: PositiveFloat | None = 10.0
    """A network's gradient longer than this is cut to this length (over all parameters). None: no limit."""
    penalties: PenaltyNames | None = "r1_estimate"
    """What is added to the discriminator's loss, names with commas between them (jaxgen.models.gan.penalties)."""
    penalty_weight: NonNegativeFloat = 0.3
    """Weight of each penalty."""
    generator_width: Size = 64
    """Channels of the generator's last hidden layer; those before have twice and four times as many."""
    discriminator_widths: Widths = (64, 128, 256)
    """Channels of the discriminator's convolutions, each of which halves the map."""
    discriminator_hidden_width: Size | None = 512
    """Width of a Dense layer between the discriminator's last map and its logit. None: no such layer."""
    discriminator_batch_norm: bool = False
    """Whether the discriminator has batch norm too, as in the paper (a step then takes longer)."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """A stem of 7x7, 5x5 kernels, batch norm in the generator."""
    image_shape = tuple(assets["image_shape"])
    discriminator = DCGANDiscriminator(
        image_shape,
        widths=config.discriminator_widths,
        hidden_width=config.discriminator_hidden_width,
        batch_norm=config.discriminator_batch_norm,
        spectral_norm=config.discriminator_spectral_norm,
    )
    independent = not config.discriminator_batch_norm
    return build_gan(
        config, DCGANGenerator(image_shape, config.generator_width), discriminator, independent_examples=independent
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="DCGAN",
    data="MNIST",
    expected_time="33 min on 2 CPU cores",
    presets={
        "quick": Config(steps=300, sample_every=50, checkpoint_every=100),
        "default": Config(),
        "full": Config(steps=46_900),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
