"""The options that the experiments with variational autoencoders have, and how they become a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import (
    Count,
    CountFromZero,
    Length,
    NonNegativeFloat,
    PositiveFloat,
    Rate,
    Size,
    Widths,
    formerly,
    within,
)
from jaxgen.data import Dataset, load
from jaxgen.data.binarization import binarized
from jaxgen.models.likelihoods import PixelLikelihood, bernoulli, discretized_logistic, gaussian
from jaxgen.models.vae import VAE, Posterior, flow_posterior, gaussian_posterior
from jaxgen.networks.dcgan import DCGANEncoder, DCGANGenerator
from jaxgen.networks.flows import InverseAutoregressiveFlow, PlanarFlow
from jaxgen.networks.layers.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator
from jaxgen.training.config import TrainConfig

BINARIZATION_SEED = 0
"""Of the test images, whatever --seed is: likelihoods of all runs are of the same images."""
CONTEXT_SIZE = 64
"""What the encoder tells a flow, besides a mean and a variance."""
LIKELIHOODS: dict[str, Callable[[], PixelLikelihood]] = {
    "bernoulli": bernoulli,
    "gaussian": gaussian,
    "discretised_logistic": discretized_logistic,
}
ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh, "softplus": nn.softplus}
OPTIMIZERS = {"adam": optax.adam, "adamax": optax.adamax}
DecayAt = Annotated[tuple[Count, ...], Length(0, 1_000)]
FLOWS = {"planar": PlanarFlow, "iaf": InverseAutoregressiveFlow}


@dataclass(frozen=True)
class BoundConfig(TrainConfig):
    """Options of a model of MNIST digits that is trained on a bound of their likelihood."""

    steps: Count = 14_070
    """How many training steps the run has in all (469 are one epoch of MNIST with --batch-size 128)."""
    eval_every: CountFromZero = 469
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    likelihood: Literal[tuple(LIKELIHOODS)] = "bernoulli"
    """What the decoder gives the parameters of. bernoulli: the digits are made binary by chance, the test images once
    (seed 0). gaussian: a mean and a variance of each pixel. discretised_logistic: 256 levels."""
    binarization: Annotated[Literal["resampled", "fixed"], formerly("binarisation")] = "resampled"
    """With --likelihood bernoulli: training images are drawn anew whenever they are seen, or were once and for all."""
    beta: NonNegativeFloat = 1.0
    """Weight of the KL term."""
    kl_warmup_steps: CountFromZero = 0
    """Over how many steps the weight of the KL term rises from 0."""
    free_bits: NonNegativeFloat = 0.0
    """Nats that the KL term of each latent may have for nothing."""
    importance_samples: Annotated[int, *within(1, 10**6)] = 1
    """Latents drawn for each image; above 1 the bound is the importance-weighted one."""
    eval_importance_samples: Annotated[int, *within(1, 10**6)] | None = None
    """Evaluation also estimates log p(x) with this many latents an image (which takes as many times longer)."""
    optimizer: Annotated[Literal[tuple(OPTIMIZERS)], formerly("optimiser")] = "adam"
    """The optimizer."""
    learning_rate: PositiveFloat = 1e-3
    """Its learning rate at first."""
    epsilon: PositiveFloat = 1e-8
    """Its epsilon."""
    decay_at: DecayAt = ()
    """The steps at which the learning rate falls."""
    decay_factor: PositiveFloat = 1.0
    """By what it is multiplied at each of them."""
    ema_decay: Rate | None = None
    """Decay of a moving average of the weights that evaluation and samples use. None: no average."""


@dataclass(frozen=True)
class VAEConfig(BoundConfig):
    """Options of a VAE with one layer of latents."""

    latent_size: Size = 20
    """Length of the latent vectors."""
    network: Literal["mlp", "dcgan"] = "mlp"
    """Fully connected networks or convolutional ones."""
    widths: Widths = (500,)
    """Hidden layers of the fully connected encoder, and in reverse of the decoder."""
    activation: Literal[tuple(ACTIVATIONS)] = "relu"
    """Of those hidden layers."""
    base_width: Size = 32
    """Channels of the convolutional encoder's first layer and of the decoder's last hidden one."""


def load_data(config: BoundConfig) -> Dataset:
    """MNIST, made binary by chance where the likelihood is of binary pixels."""
    data = load("mnist")
    if config.likelihood != "bernoulli":
        return data
    return binarized(data, seed=BINARIZATION_SEED, train=config.binarization == "fixed")


_BOUND = ("kl_warmup_steps", "free_bits", "beta", "importance_samples", "eval_importance_samples")


def bound_options(config: BoundConfig) -> dict[str, Any]:
    """Return the fields of a `VAE` that have nothing to do with its networks."""
    schedule = optax.piecewise_constant_schedule(
        config.learning_rate, dict.fromkeys(config.decay_at, config.decay_factor)
    )
    return {
        "likelihood": LIKELIHOODS[config.likelihood](),
        "optimizer": OPTIMIZERS[config.optimizer](schedule, eps=config.epsilon),
        **{name: getattr(config, name) for name in _BOUND},
        "ema_decay": config.ema_decay,
    }


def build_vae(
    config: VAEConfig,
    assets: Mapping[str, Any],
    *,
    posterior: Posterior | None = None,
    num_classes: int | None = None,
) -> GenerativeModel:
    """Return a `VAE` with these options; `posterior` None: the Gaussian one."""
    posterior = posterior or gaussian_posterior(config.latent_size)
    options = bound_options(config)
    height, width, channels = assets["image_shape"]
    parameters = (height, width, channels * options["likelihood"].parameters_per_channel)
    if config.network == "mlp":
        layers = {"activation": ACTIVATIONS[config.activation]}
        encoder = MLPEncoder(posterior.num_outputs, config.widths, **layers)
        decoder = MLPGenerator(parameters, config.widths[::-1], output_activation=None, **layers)
    else:
        encoder = DCGANEncoder(posterior.num_outputs, (height, width, channels), config.base_width)
        decoder = DCGANGenerator(parameters, config.base_width, output_activation=None)
    if num_classes is not None:
        encoder, decoder = ConditionalDiscriminator(encoder, num_classes), ConditionalGenerator(decoder, num_classes)
    return VAE(encoder, decoder, posterior=posterior, num_classes=num_classes, **options).model()


def flow_of(name: str, num_layers: int, latent_size: int) -> Posterior:
    """Return the posterior with a flow by its name in `FLOWS`."""
    return flow_posterior(FLOWS[name](num_layers), latent_size, CONTEXT_SIZE)
