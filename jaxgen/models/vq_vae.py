"""VQ-VAE: images as grids of discrete codes (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937)."""

import math
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.model import Codes, GenerativeModel, ModelSpec
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, PyTree
from jaxgen.metrics.likelihood import bits_per_dimension
from jaxgen.models import single_loss
from jaxgen.models.codebooks import (
    initial_codes,
    nearest_codes,
    perplexity,
    straight_through,
    uniform_codes,
    update_codebook,
    update_counts,
    usage,
)
from jaxgen.models.conditional_samples import refuse_condition
from jaxgen.models.likelihoods import PixelLikelihood
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network


@dataclass(frozen=True)
class VQVAE(ModelSpec):
    """An autoencoder through a codebook, on batches with `image` [B, H, W, C] in [-1, 1].

    The loss of one image of M = H W C numbers, with z_e from the encoder, e the nearest codes and sg[] without gradient
    (eq. 3, each term as a mean over its numbers, as in the paper's own code, so that their balance does not depend on
    the sizes of image and grid):

        -1/M log p(x | e)  +  mean |sg[z_e] - e|^2  +  beta mean |z_e - sg[e]|^2

    The first term's gradient passes from e to z_e unchanged. The second is left out with codebooks of running means,
    which are updated without gradients (`jaxgen.models.codebooks.update_codebook`).

    Metrics: `vq_vae/loss`; `vq_vae/reconstruction`, -log p(x | e) in nats; `vq_vae/commitment`, mean |z_e - e|^2;
    `vq_vae/elbo`, log p(x | e) - h w log K, the bound of log p(x) with the uniform prior that holds while the codes are
    learned; `vq_vae/bits_per_dimension`, that bound in bits, where the likelihood is of levels; `vq_vae/perplexity` of
    the running counts (about the last 1 / (1 - gamma) training batches, and so the same for every batch and for the
    held-out examples); `vq_vae/unigram_nats`, -log of the running share of each code, averaged over the grid: the cost
    of a code under these shares alone, which a prior must beat.
    """

    encoder: nn.Module
    """`encoder(images, train=...) -> [B, h, w, code_size]`."""
    decoder: nn.Module
    """`decoder([B, h, w, code_size], train=...) -> parameters [B, H, W, C * P]` of the likelihood."""
    _: KW_ONLY
    likelihood: PixelLikelihood
    """p(x | e); `scaled_squared_error` is that of the paper's code, `jaxgen.models.likelihoods` has others."""
    num_codes: int
    """K."""
    code_size: int
    """D."""
    grid_shape: tuple[int, int]
    """(h, w)."""
    optimizer: optax.GradientTransformation
    commitment: float = 0.25
    """beta."""
    codebook: Literal["running_means", "gradient"] = "running_means"
    """"running_means" (appendix A.1) or "gradient", with the second term."""
    decay: float = 0.99
    """gamma of the running means; of the running counts of uses in both cases."""
    revive_below: float = 1.0
    """Running means only: codes used less often per batch, in the running mean, become vectors of the batch."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid_shape", tuple(self.grid_shape))

    def model(self) -> GenerativeModel:
        return model(self)


class Quantized(NamedTuple):
    """A batch of images after the encoder."""

    vectors: jax.Array
    """[B, h, w, D], the encoder's outputs z_e."""
    numbers: jax.Array
    """int32 [B, h, w], the numbers of the nearest codes."""
    codes: jax.Array
    """[B, h, w, D], the nearest codes e."""


# ---------------------------------------------------------------- training


def training(vq_vae: VQVAE) -> SingleLoss:
    """Return how a VQ-VAE is trained: on its loss, while running means and counts are updated without gradients."""
    return SingleLoss(
        name="vq_vae",
        init_networks=partial(init_networks, vq_vae),
        loss=partial(loss, vq_vae),
        optimizer=vq_vae.optimizer,
    )


def init(vq_vae: VQVAE, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(vq_vae), key, batch)


def train_step(vq_vae: VQVAE, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss, and update the codebook."""
    return single_loss.train_step(training(vq_vae), state, batch, key)


def eval_step(vq_vae: VQVAE, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out images."""
    return single_loss.eval_step(training(vq_vae), state, batch, key)


def init_networks(vq_vae: VQVAE, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of the networks and the codebook."""
    encoder_key, decoder_key, codes_key = jax.random.split(key, 3)
    images = batch["image"]
    vectors = jnp.zeros((len(images), *vq_vae.grid_shape, vq_vae.code_size), images.dtype)
    encoder_params, encoder_state = init_network(vq_vae.encoder, encoder_key, images)
    decoder_params, decoder_state = init_network(vq_vae.decoder, decoder_key, vectors)
    codes = initial_codes(codes_key, vq_vae.num_codes, vq_vae.code_size)
    counts = jnp.ones(vq_vae.num_codes)
    params: dict[str, PyTree] = {"encoder": encoder_params, "decoder": decoder_params}
    model_state = {"encoder": encoder_state, "decoder": decoder_state, "codebook": {"counts": counts}}
    if vq_vae.codebook == "gradient":
        params["codes"] = codes
    else:
        model_state["codebook"] |= {"codes": codes, "sums": jnp.copy(codes)}  # two buffers: states are donated
    return params, model_state


def loss(vq_vae: VQVAE, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool) -> LossOutput:
    """Return the loss [B] of each image, and the codebook's state after the batch."""
    target_key, revival_key = jax.random.split(key)
    targets = vq_vae.likelihood.targets(target_key, batch["index"], batch["image"])
    found, encoder_state = _quantized(vq_vae, params, model_state, targets, train=train)
    parameters, decoder_state = apply_network(
        vq_vae.decoder,
        params["decoder"],
        model_state["decoder"],
        straight_through(found.vectors, found.codes),
        train=train,
    )
    log_prob = vq_vae.likelihood.log_prob(parameters, targets)
    stop = jax.lax.stop_gradient
    distances = row_means(jnp.square(rows(found.vectors) - rows(stop(found.codes))))
    losses = -log_prob / targets[0].size + vq_vae.commitment * distances
    if vq_vae.codebook == "gradient":
        losses += row_means(jnp.square(rows(stop(found.vectors)) - rows(found.codes)))

    book = model_state["codebook"]
    if train:
        book = _update_book(vq_vae, book, found, revival_key)
    elbo = log_prob - math.prod(vq_vae.grid_shape) * math.log(vq_vae.num_codes)
    metrics = {
        "reconstruction": -log_prob,
        "commitment": distances,
        "elbo": elbo,
        "perplexity": jnp.broadcast_to(perplexity(book["counts"]), log_prob.shape),
        "unigram_nats": row_means(-jnp.log(usage(book["counts"])[found.numbers])),
    }
    if vq_vae.likelihood.levels is not None:
        metrics["bits_per_dimension"] = bits_per_dimension(-elbo, targets[0].size, bin_width=1.0)
    return LossOutput(losses, metrics, {"encoder": encoder_state, "decoder": decoder_state, "codebook": book})


def _quantized(
    vq_vae: VQVAE, params: Params, model_state: ModelState, images: jax.Array, *, train: bool
) -> tuple[Quantized, ModelState]:
    """Return the encoder's vectors of images with their nearest codes, and the encoder's model state."""
    vectors, encoder_state = apply_network(
        vq_vae.encoder, params["encoder"], model_state["encoder"], images, train=train
    )
    codes = _codes(vq_vae, params, model_state)
    numbers = nearest_codes(jax.lax.stop_gradient(vectors), jax.lax.stop_gradient(codes))
    return Quantized(vectors, numbers, codes[numbers]), encoder_state


def _codes(vq_vae: VQVAE, params: Params, model_state: ModelState) -> jax.Array:
    """Return the codebook's vectors [K, D]."""
    return params["codes"] if vq_vae.codebook == "gradient" else model_state["codebook"]["codes"]


def _update_book(vq_vae: VQVAE, book: dict[str, jax.Array], found: Quantized, key: Key) -> dict[str, jax.Array]:
    """Return the codebook's state after a training batch."""
    numbers, vectors = found.numbers.reshape(-1), jax.lax.stop_gradient(found.vectors).reshape(-1, vq_vae.code_size)
    if vq_vae.codebook == "gradient":
        return {"counts": update_counts(book["counts"], numbers, vq_vae.decay)}
    return update_codebook(book, vectors, numbers, key, decay=vq_vae.decay, revive_below=vq_vae.revive_below)


# ---------------------------------------------------------------- use: images are binary where the likelihood is


def sample(vq_vae: VQVAE, state: TrainState, key: Key, num_samples: int, *, condition: None = None) -> jax.Array:
    """Decode codes of the uniform prior; a second stage learns a better one."""
    refuse_condition(condition)
    return decode_codes(vq_vae, state, prior(vq_vae, key, num_samples))


def prior(vq_vae: VQVAE, key: Key, num_samples: int) -> jax.Array:
    """Draw codes int32 [N, h, w], uniform."""
    return uniform_codes(key, num_samples, vq_vae.grid_shape, vq_vae.num_codes)


def encode(vq_vae: VQVAE, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the codes int32 [N, h, w] of images [N, H, W, C]."""
    return _quantized(vq_vae, state.params["vq_vae"], state.model_state, images, train=False)[0].numbers


def decode_codes(vq_vae: VQVAE, state: TrainState, codes: jax.Array) -> jax.Array:
    """Return the likelihood's means [N, H, W, C] of codes [N, h, w]."""
    params, model_state = state.params["vq_vae"], state.model_state
    vectors = _codes(vq_vae, params, model_state)[codes]
    return vq_vae.likelihood.mean(
        apply_network(vq_vae.decoder, params["decoder"], model_state["decoder"], vectors, train=False)[0]
    )


def reconstruct(vq_vae: VQVAE, state: TrainState, images: jax.Array) -> jax.Array:
    """Decode the codes of images [N, H, W, C]."""
    return decode_codes(vq_vae, state, encode(vq_vae, state, images))


def draw_codes(vq_vae: VQVAE, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return the codes int32 [B, h, w] of a batch's images as the likelihood's `targets` draws them."""
    return encode(vq_vae, state, vq_vae.likelihood.targets(key, batch["index"], batch["image"]))


def quantize(vq_vae: VQVAE, state: TrainState, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the nearest codes [..., D] to vectors [..., D], and their numbers int32 [...]."""
    codes = _codes(vq_vae, state.params["vq_vae"], state.model_state)
    numbers = nearest_codes(vectors, codes)
    return codes[numbers], numbers


def model(vq_vae: VQVAE) -> GenerativeModel:
    """Bind these functions to a spec."""
    functions = (prior, encode, decode_codes, reconstruct, draw_codes)
    return single_loss.bind(
        training(vq_vae),
        sample=partial(sample, vq_vae),
        codes=Codes(*(partial(function, vq_vae) for function in functions)),
    )
