"""The discrete VAE: grids of codes by a relaxation (DALL-E: Ramesh et al. 2021, https://arxiv.org/abs/2102.12092)."""

import math
from dataclasses import KW_ONLY, dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import Codes, GenerativeModel, ModelSpec
from jaxgen.core.per_example import row_sums
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models import single_loss
from jaxgen.models.codebooks import perplexity, uniform_codes, update_counts, usage
from jaxgen.models.conditional_samples import refuse_condition
from jaxgen.models.likelihoods import PixelLikelihood
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network


@dataclass(frozen=True)
class DiscreteVAE(ModelSpec):
    """An autoencoder through categorical codes, on batches with `image` [B, H, W, C] in [-1, 1].

    q(z | x) is a categorical distribution of K codes at each place of a grid, and the prior is uniform. The loss of one
    image of M = H W C numbers is minus its evidence lower bound per number, with beta times the divergence (section
    2.1):

        1/M (-log p(x | z) + beta KL(q(z | x) | uniform))

    In training z is relaxed (`relaxed_codes`), so that it has a gradient; in evaluation it is drawn.

    Metrics: `discrete_vae/loss`; `discrete_vae/reconstruction`, -log p(x | z) in nats; `discrete_vae/kl`, over the
    grid; `discrete_vae/elbo`, the bound with beta = 1, which in evaluation is one of log p(x);
    `discrete_vae/perplexity` and `discrete_vae/unigram_nats` of the likeliest codes, as in `jaxgen.models.vq_vae`;
    `discrete_vae/temperature`.
    """

    encoder: nn.Module
    """`encoder(images, train=...) -> logits [B, h, w, K]`."""
    decoder: nn.Module
    """`decoder([B, h, w, code_size], train=...) -> parameters [B, H, W, C * P]` of the likelihood; it gets the codes'
    vectors, which are learned, or mixtures of them."""
    _: KW_ONLY
    likelihood: PixelLikelihood
    """p(x | z); `jaxgen.models.likelihoods.logit_laplace` is the paper's."""
    num_codes: int
    """K."""
    code_size: int
    """D, the length of the codes' vectors."""
    grid_shape: tuple[int, int]
    """(h, w)."""
    optimizer: optax.GradientTransformation
    temperature: optax.Schedule
    """Temperature of the relaxation, a function of the step (`cosine_between`)."""
    kl_weight: optax.Schedule
    """beta, a function of the step."""
    decay: float = 0.99
    """Decay of the running counts of uses."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights that evaluation and codes use; None: no average."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid_shape", tuple(self.grid_shape))

    def model(self) -> GenerativeModel:
        return model(self)


# ---------------------------------------------------------------- training


def training(dvae: DiscreteVAE) -> SingleLoss:
    """Return how a discrete VAE is trained: on its bound, with scheduled temperature and KL weight."""
    return SingleLoss(
        name="discrete_vae",
        init_networks=partial(init_networks, dvae),
        loss=partial(loss, dvae),
        optimizer=dvae.optimizer,
        ema_decay=dvae.ema_decay,
        schedules={"temperature": dvae.temperature, "kl_weight": dvae.kl_weight},
    )


def init(dvae: DiscreteVAE, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(dvae), key, batch)


def train_step(dvae: DiscreteVAE, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the relaxed bound."""
    return single_loss.train_step(training(dvae), state, batch, key)


def eval_step(dvae: DiscreteVAE, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out images."""
    return single_loss.eval_step(training(dvae), state, batch, key)


def init_networks(dvae: DiscreteVAE, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of the networks and the codes' vectors."""
    encoder_key, decoder_key, codes_key = jax.random.split(key, 3)
    images = batch["image"]
    vectors = jnp.zeros((len(images), *dvae.grid_shape, dvae.code_size), images.dtype)
    encoder_params, encoder_state = init_network(dvae.encoder, encoder_key, images)
    decoder_params, decoder_state = init_network(dvae.decoder, decoder_key, vectors)
    codes = jax.random.normal(codes_key, (dvae.num_codes, dvae.code_size), jnp.float32)
    params = {"encoder": encoder_params, "decoder": decoder_params, "codes": codes}
    counts = {"counts": jnp.ones(dvae.num_codes)}
    return params, {"encoder": encoder_state, "decoder": decoder_state, "codebook": counts}


def loss(
    dvae: DiscreteVAE,
    params: Params,
    model_state: ModelState,
    batch: Batch,
    key: Key,
    *,
    train: bool,
    temperature: jax.Array,
    kl_weight: jax.Array,
) -> LossOutput:
    """Return minus the weighted bound per number of each image, [B]."""
    target_key, code_key = jax.random.split(key)
    targets = dvae.likelihood.targets(target_key, batch["index"], batch["image"])
    logits, encoder_state = apply_network(dvae.encoder, params["encoder"], model_state["encoder"], targets, train=train)
    keys = example_keys(code_key, batch["index"])
    codes = relaxed_codes(logits, keys, temperature) if train else drawn_codes(logits, keys)
    vectors = jnp.matmul(codes, params["codes"])
    parameters, decoder_state = apply_network(
        dvae.decoder, params["decoder"], model_state["decoder"], vectors, train=train
    )
    log_prob, kl = dvae.likelihood.log_prob(parameters, targets), kl_to_uniform(logits)
    numbers = jnp.argmax(logits, -1)
    counts = model_state["codebook"]["counts"]
    if train:
        counts = update_counts(counts, numbers.reshape(-1), dvae.decay)
    metrics = {
        "reconstruction": -log_prob,
        "kl": kl,
        "elbo": log_prob - kl,
        "perplexity": jnp.broadcast_to(perplexity(counts), log_prob.shape),
        "unigram_nats": jnp.mean(-jnp.log(usage(counts)[numbers]), (1, 2)),
        "temperature": jnp.broadcast_to(temperature, log_prob.shape),
    }
    losses = (kl_weight * kl - log_prob) / targets[0].size
    return LossOutput(
        losses, metrics, {"encoder": encoder_state, "decoder": decoder_state, "codebook": {"counts": counts}}
    )


# ---------------------------------------------------------------- codes


def relaxed_codes(logits: jax.Array, keys: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """Return softmax((l + g) / temperature) [B, ..., K] of logits l [B, ..., K], g Gumbel noise of each example's key.

    (Jang et al. 2017, arXiv:1611.01144, eq. 2; Maddison et al. 2017, arXiv:1611.00712.) As the temperature falls it
    becomes a one-hot draw of the categorical distribution.
    """
    return jax.nn.softmax((logits + _gumbel(logits, keys)) / temperature)


def drawn_codes(logits: jax.Array, keys: jax.Array) -> jax.Array:
    """Return what `relaxed_codes` become at temperature 0: one-hot [B, ..., K]."""
    return jax.nn.one_hot(jnp.argmax(logits + _gumbel(logits, keys), -1), logits.shape[-1], dtype=logits.dtype)


def kl_to_uniform(logits: jax.Array) -> jax.Array:
    """Return KL(q | uniform) = sum_places (log K + sum_k q_k log q_k) [B] in nats, of logits [B, ..., K]."""
    log_q = jax.nn.log_softmax(logits)
    return row_sums(math.log(logits.shape[-1]) + jnp.sum(jnp.exp(log_q) * log_q, -1))


def cosine_between(start: float, end: float, steps: int) -> optax.Schedule:
    """Return the schedule from `start` to `end` along half a cosine over `steps` steps, then `end` (appendix A.2)."""
    left = optax.cosine_decay_schedule(1.0, max(1, steps))
    return lambda step: end + (start - end) * left(step)


def _gumbel(logits: jax.Array, keys: jax.Array) -> jax.Array:
    return jax.vmap(lambda key, row: jax.random.gumbel(key, row.shape, row.dtype))(keys, logits)


# ---------------------------------------------------------------- use


def sample(dvae: DiscreteVAE, state: TrainState, key: Key, num_samples: int, *, condition: None = None) -> jax.Array:
    """Decode codes of the uniform prior; a second stage learns a better one."""
    refuse_condition(condition)
    return decode_codes(dvae, state, prior(dvae, key, num_samples))


def prior(dvae: DiscreteVAE, key: Key, num_samples: int) -> jax.Array:
    """Draw codes int32 [N, h, w], uniform."""
    return uniform_codes(key, num_samples, dvae.grid_shape, dvae.num_codes)


def encode(dvae: DiscreteVAE, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the likeliest codes int32 [N, h, w] of images [N, H, W, C]."""
    params = averaged_params(state, "discrete_vae")
    logits, _ = apply_network(dvae.encoder, params["encoder"], state.model_state["encoder"], images, train=False)
    return jnp.argmax(logits, -1).astype(jnp.int32)


def decode_codes(dvae: DiscreteVAE, state: TrainState, codes: jax.Array) -> jax.Array:
    """Return the likelihood's means [N, H, W, C] of codes [N, h, w]."""
    params = averaged_params(state, "discrete_vae")
    vectors = params["codes"][codes]
    decoder_state = state.model_state["decoder"]
    return dvae.likelihood.mean(apply_network(dvae.decoder, params["decoder"], decoder_state, vectors, train=False)[0])


def reconstruct(dvae: DiscreteVAE, state: TrainState, images: jax.Array) -> jax.Array:
    """Decode the likeliest codes of images [N, H, W, C]."""
    return decode_codes(dvae, state, encode(dvae, state, images))


def draw_codes(dvae: DiscreteVAE, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return the codes int32 [B, h, w] of a batch's images as the likelihood's `targets` draws them."""
    return encode(dvae, state, dvae.likelihood.targets(key, batch["index"], batch["image"]))


def model(dvae: DiscreteVAE) -> GenerativeModel:
    """Bind these functions to a spec."""
    functions = (prior, encode, decode_codes, reconstruct, draw_codes)
    return single_loss.bind(
        training(dvae),
        sample=partial(sample, dvae),
        codes=Codes(*(partial(function, dvae) for function in functions)),
    )
