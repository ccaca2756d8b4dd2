"""InfoGAN on MNIST (Chen et al. 2016, https://arxiv.org/abs/1606.03657).

    python -m jaxgen.experiments.mnist_infogan
    jaxgen sample runs/mnist_infogan/001 --label 3

InfoGAN finds the classes without labels: a code of ten values is drawn for each image, and the discriminator learns to
predict it from the image, together with codes between -1 and 1 for continuous properties (slant, width).
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import CountFromZero, within
from jaxgen.core.types import Assets
from jaxgen.data import load
from jaxgen.experiments._gan import DCGANOptions, GANConfig, build_gan
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.models.gan.heads import mutual_information
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.networks.layers.conditional import ConditionalGenerator
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class CodeOptions:
    """The codes that the discriminator learns to predict from an image."""

    num_codes: Annotated[int, *within(2, 2**20)] = 10
    """Number of values of the categorical code."""
    num_uniform: CountFromZero = 2
    """Number of continuous codes, which are part of the latent vector."""


@dataclass(frozen=True)
class Config(GANConfig):
    """Options of mnist_infogan."""

    network: DCGANOptions = DCGANOptions()
    codes: CodeOptions = CodeOptions()


DEFAULT = Config().replace(
    **BEST_BY_FID,
    steps=5_000,
    batch_size=64,
    steps_per_dispatch=20,
    eval_every=1_000,
    latent_size=64,
    generator_learning_rate=1e-3,
    base_width=32,  # the paper's is 64
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a DCGAN whose discriminator has a dense layer before its logit and its predictions of the codes.

    Raises:
      UserError: numbers of codes out of range.
    """
    if config.codes.num_uniform > config.model.latent_size:
        raise UserError(f"--num-uniform must lie between 0 and --latent-size {config.model.latent_size}.")
    image_shape = tuple(assets["image_shape"])
    outputs = config.codes.num_codes + config.codes.num_uniform
    return build_gan(
        config,
        ConditionalGenerator(DCGANGenerator(image_shape, config.network.base_width), config.codes.num_codes),
        DCGANDiscriminator(
            image_shape,
            config.network.base_width,
            hidden_width=256,
            head_outputs=outputs,
            spectral_norm=config.network.discriminator_spectral_norm,
        ),
        independent_examples=True,
        num_classes=config.codes.num_codes,
        head=mutual_information(config.codes.num_codes, config.codes.num_uniform),
    )


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="GAN that finds classes without labels",
    data="MNIST",
    expected_time="8 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=300, sample_every=50, checkpoint_every=100),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=46_900, base_width=64),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
