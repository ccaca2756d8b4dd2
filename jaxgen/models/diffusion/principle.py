"""Training of diffusion models, and the model of a spec."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_chances, example_keys, example_normal
from jaxgen.core.model import Condition, Denoising, GenerativeModel, Latents, Likelihood
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models import single_loss
from jaxgen.models.conditional_samples import normal_prior
from jaxgen.models.diffusion.denoising import denoise, inpaint, network_inputs, over_pixels, sample, without
from jaxgen.models.diffusion.latents import bits_per_dimension, decode, encode, log_likelihood, reconstruct
from jaxgen.models.diffusion.noise_levels import low_discrepancy_uniform
from jaxgen.models.diffusion.spec import Diffusion
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network


def init(diffusion: Diffusion, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(diffusion), key, batch)


def train_step(diffusion: Diffusion, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    return single_loss.train_step(training(diffusion), state, batch, key)


def eval_step(diffusion: Diffusion, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples, with the averaged parameters."""
    return single_loss.eval_step(training(diffusion), state, batch, key)


def training(diffusion: Diffusion) -> SingleLoss:
    """Return what is trained: the network, on `denoising_loss`."""
    return SingleLoss(
        name="diffusion",
        init_networks=partial(_init_networks, diffusion),
        loss=partial(denoising_loss, diffusion),
        optimizer=diffusion.optimizer,
        ema_decay=diffusion.ema_decay,
        micro_batches=diffusion.micro_batches,
    )


def denoising_loss(
    diffusion: Diffusion, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return |F - (y - c_skip x) / c_out|^2 of each image y of a batch, as a mean over pixels, with x = y + sigma n."""
    level_key, noise_key, condition_key, dropout_key = jax.random.split(key, 4)
    images, index = batch["image"], batch["index"]
    given = _trained_conditions(diffusion, batch, condition_key) if train else _conditions(diffusion, batch)
    sigma = diffusion.noise_levels.icdf(low_discrepancy_uniform(level_key, index))  # [B]
    noisy = images + over_pixels(sigma) * example_normal(noise_key, index, diffusion.image_shape)
    outputs, network_state = apply_network(
        diffusion.network,
        params,
        model_state["network"],
        *network_inputs(diffusion.preconditioning, noisy, sigma),
        *given,
        train=train,
        dropout_keys=example_keys(dropout_key, index) if train else None,
    )
    c_skip, c_out = diffusion.preconditioning.c_skip(sigma)[:, None], diffusion.preconditioning.c_out(sigma)[:, None]
    errors = jnp.square(rows(outputs) - (rows(images) - c_skip * rows(noisy)) / c_out)
    return LossOutput(row_means(errors), {}, {**model_state, "network": network_state})


def model(diffusion: Diffusion) -> GenerativeModel:
    """Return the model of a spec: `sample`, latents along the probability flow, likelihoods, inpainting."""
    condition = diffusion.condition
    return single_loss.bind(
        training(diffusion),
        sample=partial(sample, diffusion),
        latents=Latents(
            normal_prior(diffusion.dimensions),
            partial(decode, diffusion),
            partial(encode, diffusion),
            partial(reconstruct, diffusion),
        ),
        condition=None if condition is None else Condition(condition.kind, condition.of_samples),
        likelihood=Likelihood(
            log_likelihood=partial(log_likelihood, diffusion), bits_per_dimension=partial(bits_per_dimension, diffusion)
        ),
        denoising=Denoising(partial(denoise, diffusion), partial(inpaint, diffusion)),
    )


def _init_networks(diffusion: Diffusion, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    images, given = batch["image"], _conditions(diffusion, batch)
    params, network_state = init_network(diffusion.network, key, images, jnp.zeros(len(images)), *given)
    return params, {"network": network_state}


def _conditions(diffusion: Diffusion, batch: Batch) -> tuple[jax.Array, ...]:
    """Return the batch's conditions [B, ...], or nothing in an unconditional model."""
    return () if diffusion.condition is None else (batch[diffusion.condition.entry],)


def _trained_conditions(diffusion: Diffusion, batch: Batch, key: Key) -> tuple[jax.Array, ...]:
    """Return the conditions [B, ...] to train on, some of them left out."""
    if diffusion.condition is None:
        return ()
    index, (given,) = batch["index"], _conditions(diffusion, batch)
    if diffusion.condition.in_training is not None:
        key, own_key = jax.random.split(key)
        given = diffusion.condition.in_training(example_keys(own_key, index), batch)
    if diffusion.condition_dropout:
        given = without(diffusion, given, example_chances(key, index, diffusion.condition_dropout))
    return (given,)
