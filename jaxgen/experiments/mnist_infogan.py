"""InfoGAN on MNIST (Chen et al. 2016, https://arxiv.org/abs/1606.03657).

    python -m jaxgen.experiments.mnist_infogan
    jaxgen sample runs/mnist_infogan/001 --label 3

finds the classes without a label: a code of ten values is drawn for each image, and the discriminator learns to read it
from the image, together with codes between -1 and 1 for what is continuous (slant, width).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, PositiveFloat, Size, within
from jaxgen.data import load
from jaxgen.experiments._gan import MNISTGANConfig, build_gan
from jaxgen.models.gan.heads import mutual_information
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.networks.layers.conditional import ConditionalGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(MNISTGANConfig):
    """Options of mnist_infogan."""

    steps: Count = 5_000
    """How many training steps the run has in all."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 20
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    eval_every: CountFromZero = 1_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    latent_size: Size = 64
    """Length of the latent vectors, the continuous codes included."""
    num_codes: Annotated[int, *within(2, 2**20)] = 10
    """Values of the categorical code."""
    num_uniform: CountFromZero = 2
    """How many continuous codes there are."""
    generator_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate for the generator."""
    base_width: Size = 32
    """Channels of the generator's last hidden layer and of the discriminator's first; the paper's is 64."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """A DCGAN whose discriminator has a Dense layer before its logit and its guesses of the codes.

    Raises:
      UserError: numbers of codes out of range.
    """
    if config.num_uniform > config.latent_size:
        raise UserError(f"--num-uniform must lie between 0 and --latent-size {config.latent_size}.")
    image_shape = tuple(assets["image_shape"])
    outputs = config.num_codes + config.num_uniform
    return build_gan(
        config,
        ConditionalGenerator(DCGANGenerator(image_shape, config.base_width), config.num_codes),
        DCGANDiscriminator(
            image_shape,
            config.base_width,
            hidden_width=256,
            head_outputs=outputs,
            spectral_norm=config.discriminator_spectral_norm,
        ),
        independent_examples=True,
        num_classes=config.num_codes,
        head=mutual_information(config.num_codes, config.num_uniform),
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="GAN that finds classes without labels",
    data="MNIST",
    expected_time="8 min on 1 CPU core",
    presets={
        "quick": Config(steps=300, sample_every=50, checkpoint_every=100),
        "default": Config(),
        "full": Config(steps=46_900, base_width=64),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
