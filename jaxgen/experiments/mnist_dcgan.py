"""A convolutional GAN on MNIST, after DCGAN (Radford et al. 2016, https://arxiv.org/abs/1511.06434).

    python -m jaxgen.experiments.mnist_dcgan

An epoch is 938 steps of 64 images.
"""

from dataclasses import dataclass

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Size, Widths
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._gan import DiscriminatorOptions, GANConfig, build_gan
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class NetworkOptions(DiscriminatorOptions):
    """The networks, which are convolutional."""

    generator_width: Size = 64
    """Channels of the generator's last hidden layer; the layers before it have twice and four times as many."""
    discriminator_widths: Widths = (64, 128, 256)
    """Channels of the discriminator's convolutions, each of which halves the size of the map."""
    discriminator_hidden_width: Size | None = 512
    """Width of a dense layer between the discriminator's last map and its logit. None: no such layer."""
    discriminator_batch_norm: bool = False
    """Whether the discriminator has batch norm too, as in the paper (which makes steps slower)."""


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of mnist_dcgan."""

    network: NetworkOptions = NetworkOptions()


EPOCH = 938  # steps
DEFAULT = Config().replace(
    **BEST_BY_FID,
    steps=10 * EPOCH,
    batch_size=64,
    steps_per_dispatch=14,
    log_every=50,
    sample_every=EPOCH,
    checkpoint_every=EPOCH,
    eval_every=EPOCH,
    generator_learning_rate=1e-3,
    discriminator_learning_rate=1e-3,
    clip_norm=10.0,
    penalties="r1_estimate",
    penalty_weight=0.3,
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `GAN` of convolutions: a stem of 7x7, 5x5 kernels, batch norm in the generator."""
    options, image_shape = config.network, tuple(assets["image_shape"])
    discriminator = DCGANDiscriminator(
        image_shape,
        widths=options.discriminator_widths,
        hidden_width=options.discriminator_hidden_width,
        batch_norm=options.discriminator_batch_norm,
        spectral_norm=options.discriminator_spectral_norm,
    )
    independent = not options.discriminator_batch_norm
    return build_gan(
        config, DCGANGenerator(image_shape, options.generator_width), discriminator, independent_examples=independent
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="DCGAN",
    data="MNIST",
    expected_time="33 min on 2 CPU cores",
    presets={
        "quick": DEFAULT.replace(steps=300, sample_every=50, checkpoint_every=100),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=46_900),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
