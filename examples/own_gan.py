"""A GAN of one's own on MNIST: networks, a loss and options that jaxgen does not have.

    python examples/own_gan.py                                  # 4 minutes on 2 CPU cores
    python examples/own_gan.py --steps 200 --width 128          # its options are those of every experiment, and its own
    jaxgen sample runs/own_gan/001 --out sheet.png              # every command works on its runs

jaxgen trains it, evaluates it, saves it and resumes it to the same bits; this file says what is trained. Its
convolutions are Flax's with the same parameters, in the forms that are fast on a CPU.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import jaxgen
from jaxgen.models.gan import GAN, GANLoss


class Generator(nn.Module):
    """Latents [B, L] -> images [B, 28, 28, 1] in [-1, 1]."""

    width: int

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        hidden = nn.Dense(7 * 7 * self.width)(latents).reshape(-1, 7, 7, self.width)
        for features in (self.width // 2, self.width // 4):
            hidden = nn.BatchNorm(use_running_average=not train)(hidden)
            hidden = jaxgen.networks.ConvTranspose(features, (4, 4), strides=(2, 2))(nn.silu(hidden))
        hidden = nn.BatchNorm(use_running_average=not train)(hidden)
        return jnp.tanh(jaxgen.networks.Conv(1, (3, 3))(nn.silu(hidden)))


class Discriminator(nn.Module):
    """Images [B, 28, 28, 1] -> logits [B]."""

    width: int

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        hidden = images
        for features in (self.width // 4, self.width // 2):
            hidden = nn.leaky_relu(jaxgen.networks.Conv(features, (4, 4), strides=(2, 2))(hidden), 0.2)
        return nn.Dense(1)(hidden.reshape(len(hidden), -1))[:, 0]


def discriminator_loss(real: jax.Array, generated: jax.Array) -> jax.Array:
    """-0.9 log s(D(x)) - 0.1 log(1 - s(D(x))) - log(1 - s(D(G(z)))), [B]: real images have the target 0.9."""
    return 0.9 * nn.softplus(-real) + 0.1 * nn.softplus(real) + nn.softplus(generated)


def generator_loss(real: jax.Array, generated: jax.Array) -> jax.Array:
    """-log s(D(G(z))), [B]."""
    del real
    return nn.softplus(-generated)


SMOOTHED = GANLoss(discriminator_loss, generator_loss)
"""One-sided label smoothing (Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 3.4)."""


@dataclass(frozen=True)
class Config(jaxgen.TrainConfig):
    """Options of this experiment."""

    width: int = 64
    """Channels of the smallest maps."""
    learning_rate: float = 2e-4
    """Adam's learning rate, for both networks."""


CONFIG = Config().replace(steps=3_000)


def build_model(config: Config, assets: dict) -> GAN:
    return GAN(
        Generator(config.width),
        Discriminator(config.width),
        latent_size=64,
        loss=SMOOTHED,
        generator_optimizer=optax.adam(config.learning_rate, b1=0.5),
        discriminator_optimizer=optax.adam(config.learning_rate, b1=0.5),
    )


EXPERIMENT = jaxgen.Experiment(
    file=__file__,
    summary="a convolutional GAN of one's own",
    data="MNIST",
    expected_time="4 min on 2 busy CPU cores",
    presets={"quick": CONFIG.replace(steps=500), "default": CONFIG, "full": CONFIG.replace(steps=20_000)},
    load_data=lambda config: jaxgen.data.load("mnist"),
    build_model=build_model,
)

if __name__ == "__main__":
    EXPERIMENT.main()
