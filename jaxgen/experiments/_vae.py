"""Options and values of variational autoencoders, shared by experiments, and the model built from them."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, Length, PositiveFloat, Size, formerly, within
from jaxgen.core.types import Assets, Json
from jaxgen.data import Dataset
from jaxgen.experiments._adam import AveragedAdamOptions
from jaxgen.experiments._autoencoder import FullyConnectedOptions
from jaxgen.experiments._digits import EPOCH, BinarizationOptions, load_digits
from jaxgen.experiments._latents import KLOptions, LatentOptions
from jaxgen.experiments._likelihoods import LIKELIHOODS
from jaxgen.models.vae import VAE, Posterior, flow_posterior, gaussian_posterior
from jaxgen.networks.dcgan import DCGANEncoder, DCGANGenerator
from jaxgen.networks.flows import InverseAutoregressiveFlow, PlanarFlow
from jaxgen.networks.layers.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator
from jaxgen.training.config import TrainConfig

CONTEXT_SIZE = 64
"""Length of the context that a flow gets from the encoder, besides a mean and a variance."""
ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh, "softplus": nn.softplus}
OPTIMIZERS = {"adam": optax.adam, "adamax": optax.adamax}
FLOWS = {"planar": PlanarFlow, "iaf": InverseAutoregressiveFlow}


@dataclass(frozen=True)
class BoundOptions(KLOptions):
    """The bound of the likelihood that is optimized."""

    likelihood: Literal["bernoulli", "gaussian", "discretised_logistic"] = "bernoulli"
    """Likelihood of the pixels, whose parameters the decoder returns: bernoulli, of binary pixels, as --binarization
    draws them; gaussian, with a mean and a variance of each pixel; or discretised_logistic, of 256 levels."""
    importance_samples: Annotated[int, *within(1, 10**6)] = 1
    """Number of latents drawn for each image; above 1 the bound is the importance-weighted one."""
    eval_importance_samples: Annotated[int, *within(1, 10**6)] | None = None
    """Number of latents per image with which evaluation also estimates log p(x); the time grows with it. None: no
    estimate."""


@dataclass(frozen=True)
class VAEOptions(BoundOptions, LatentOptions):
    """The latents, and the bound of the likelihood that is optimized."""


@dataclass(frozen=True)
class VAENetworkOptions(FullyConnectedOptions):
    """The encoder and the decoder."""

    network: Literal["mlp", "dcgan"] = "mlp"
    """Fully connected networks (mlp) or convolutional ones (dcgan)."""
    activation: Literal[tuple(ACTIVATIONS)] = "relu"
    """Activation of the fully connected networks' hidden layers."""
    base_width: Size = 32
    """Channels of the convolutional encoder's first layer and of the decoder's last hidden one."""


@dataclass(frozen=True)
class VAEOptimizerOptions(AveragedAdamOptions):
    """The optimizer, Adam or a relative, and the average of the weights."""

    optimizer: Annotated[Literal[tuple(OPTIMIZERS)], formerly("optimiser")] = "adam"
    """Optimizer: Adam, or AdaMax, its variant with a running maximum of gradients in place of the second moment."""
    epsilon: PositiveFloat = 1e-8
    """Adam's epsilon, which is added to the divisor of the gradients."""
    decay_at: Annotated[tuple[Count, ...], Length(0, 1_000)] = ()
    """Steps at which the learning rate falls."""
    decay_factor: PositiveFloat = 1.0
    """Factor by which the learning rate is multiplied at each step of --decay-at."""


@dataclass(frozen=True)
class VAEConfig(TrainConfig):
    """Options of a VAE of MNIST digits with one layer of latents."""

    data: BinarizationOptions = BinarizationOptions()
    model: VAEOptions = VAEOptions()
    network: VAENetworkOptions = VAENetworkOptions()
    optimizer: VAEOptimizerOptions = VAEOptimizerOptions(ema_decay=None)


VAE_VALUES = {"steps": 30 * EPOCH, "eval_every": EPOCH, "latent_size": 20, "widths": (500,)}
"""Values of mnist_vae and its nearest relatives: 30 epochs, with an evaluation after each."""


def load_data(data: BinarizationOptions, model: BoundOptions) -> Dataset:
    """Load MNIST, binarized at random if the likelihood is of binary pixels."""
    return load_digits(data, binary=model.likelihood == "bernoulli")


_OF_BOUND = ("kl_warmup_steps", "free_bits", "beta", "importance_samples", "eval_importance_samples")


def bound_fields(model: BoundOptions, optimizer: VAEOptimizerOptions, assets: Assets) -> Json:
    """Return the fields of a `VAE` that do not concern its networks."""
    schedule = optax.piecewise_constant_schedule(
        optimizer.learning_rate, dict.fromkeys(optimizer.decay_at, optimizer.decay_factor)
    )
    return {
        "likelihood": LIKELIHOODS[model.likelihood](assets),
        "optimizer": OPTIMIZERS[optimizer.optimizer](schedule, eps=optimizer.epsilon),
        **{name: getattr(model, name) for name in _OF_BOUND},
        "ema_decay": optimizer.ema_decay,
    }


def build_vae(
    config: VAEConfig,
    assets: Assets,
    *,
    posterior: Posterior | None = None,
    num_classes: int | None = None,
) -> GenerativeModel:
    """Return a `VAE` with these options; `posterior` None: the Gaussian one."""
    posterior = posterior or gaussian_posterior(config.model.latent_size)
    fields, options = bound_fields(config.model, config.optimizer, assets), config.network
    height, width, channels = assets["image_shape"]
    parameters = (height, width, channels * fields["likelihood"].parameters_per_channel)
    if options.network == "mlp":
        layers = {"activation": ACTIVATIONS[options.activation]}
        encoder = MLPEncoder(posterior.num_outputs, options.widths, **layers)
        decoder = MLPGenerator(parameters, options.widths[::-1], output_activation=None, **layers)
    else:
        encoder = DCGANEncoder(posterior.num_outputs, (height, width, channels), options.base_width)
        decoder = DCGANGenerator(parameters, options.base_width, output_activation=None)
    if num_classes is not None:
        encoder, decoder = ConditionalDiscriminator(encoder, num_classes), ConditionalGenerator(decoder, num_classes)
    return VAE(encoder, decoder, posterior=posterior, num_classes=num_classes, **fields).model()


def flow_of(name: str, num_layers: int, latent_size: int) -> Posterior:
    """Return the posterior with the flow of this name in `FLOWS`."""
    return flow_posterior(FLOWS[name](num_layers), latent_size, CONTEXT_SIZE)
