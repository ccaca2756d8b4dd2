"""Variational autoencoders of sentences (Bowman et al. 2016, https://arxiv.org/abs/1511.06349)."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys, folded_keys
from jaxgen.core.model import GenerativeModel, Latents, Likelihood, ModelSpec, Tokens
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, Variables
from jaxgen.data.lines import until_line_end
from jaxgen.metrics.likelihood import importance_weighted_log_likelihood
from jaxgen.models import single_loss
from jaxgen.models.autoregressive import decoding as decoding_loop
from jaxgen.models.autoregressive.decoding import Decoder, DecodeState, SamplingParams
from jaxgen.models.autoregressive.outputs import softmax
from jaxgen.models.conditional_samples import normal_prior, refuse_condition
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.vae.kl_terms import kl_weight_schedule, with_free_bits
from jaxgen.models.vae.posteriors import draw_normal, kl_by_latent, standard_normal_log_density
from jaxgen.models.variables import init_network


@dataclass(frozen=True)
class TextVAE(ModelSpec):
    """A latent-variable model of lines, trained on a bound of log p(x), whose decoder is autoregressive.

    The loss of a line x_1, ..., x_T (the last of them the line end), in nats, with z from q(z | x) = N(m, diag v) and a
    standard normal prior:

        -sum_t log p(x_t | x_{<t}, z) + w KL(q(z | x) || p(z))

    Such a decoder can ignore z; `kl_warmup_steps`, `free_bits` and `word_dropout` keep it in use.

    A batch has `tokens` int [B, T + 1] and `weights` [B, T], as `jaxgen.data.lines.load_lines` makes them.

    Metrics: `text_vae/loss`; `text_vae/reconstruction`, -log p(x | z), and `text_vae/kl`, in nats a line without
    weights; `text_vae/elbo`, minus their sum.
    """

    encoder: nn.Module
    """`encoder(tokens int [B, T], mask [B, T], train=...) -> [B, 2 L]`, m and log v."""
    network: nn.Module
    """`network(tokens int [B, T], latents [B, L], train=...) -> next-token logits [B, T, K]`, with the
    methods that `jaxgen.models.autoregressive.decoding` lists; if it has an attribute `dropout` above 0, it gets
    `dropout_keys` [B] in training."""
    _: KW_ONLY
    latent_size: int
    """L."""
    optimizer: optax.GradientTransformation
    line_end: int
    """The token that ends a line, and that also precedes its first token."""
    beta: float = 1.0
    """The weight of the KL term after the warm-up (`jaxgen.models.vae.kl_terms`)."""
    kl_warmup_steps: int = 0
    """Number of steps over which the KL term's weight rises from 0."""
    free_bits: float = 0.0
    """lambda, in nats: each latent's KL, averaged over the batch, counts as at least this much."""
    word_dropout: float = 0.0
    """Probability in training that a token which the decoder looks back at is replaced by a line end (section 3.1)."""
    sample_length: int = 64
    """Number of tokens of a sample; a line may end earlier."""

    def model(self) -> GenerativeModel:
        return model(self)


# ---------------------------------------------------------------- training


def training(text_vae: TextVAE) -> SingleLoss:
    """Return how a VAE of lines is trained: on its bound."""
    return SingleLoss(
        name="text_vae",
        init_networks=partial(init_networks, text_vae),
        loss=partial(loss, text_vae),
        optimizer=text_vae.optimizer,
        schedules={"kl_weight": kl_weight_schedule(text_vae.beta, text_vae.kl_warmup_steps)},
    )


def init(text_vae: TextVAE, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(text_vae), key, batch)


def train_step(text_vae: TextVAE, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the bound."""
    return single_loss.train_step(training(text_vae), state, batch, key)


def eval_step(text_vae: TextVAE, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out lines."""
    return single_loss.eval_step(training(text_vae), state, batch, key)


def init_networks(text_vae: TextVAE, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of the encoder and the decoder."""
    encoder_key, decoder_key = jax.random.split(key)
    tokens = batch["tokens"].astype(jnp.int32)
    latents = jnp.zeros((len(tokens), text_vae.latent_size))
    encoder_params, _ = init_network(text_vae.encoder, encoder_key, tokens[:, 1:], batch["weights"])
    decoder_params, _ = init_network(text_vae.network, decoder_key, tokens[:, :-1], latents)
    return {"encoder": encoder_params, "decoder": decoder_params}, {}


def loss(
    text_vae: TextVAE,
    params: Params,
    model_state: ModelState,
    batch: Batch,
    key: Key,
    *,
    train: bool,
    kl_weight: jax.Array,
) -> LossOutput:
    """Return minus the bound of each line [B], with its KL term weighted, and the bound's parts."""
    latent_key, decoder_key = jax.random.split(key)
    tokens, mask = batch["tokens"], batch["weights"]
    mean, log_variance = _moments(text_vae, params, tokens, mask, train=train)
    latents, _ = draw_normal(mean, log_variance, example_keys(latent_key, batch["index"]))
    keys = example_keys(decoder_key, batch["index"]) if train else None
    reconstruction = -_log_prob(text_vae, params, tokens, mask, latents, keys)
    by_latent = kl_by_latent(mean, log_variance)
    kl = jnp.sum(by_latent, axis=-1)
    penalty = with_free_bits(by_latent, text_vae.free_bits) if text_vae.free_bits else kl
    metrics = {"reconstruction": reconstruction, "kl": kl, "elbo": -reconstruction - kl}
    return LossOutput(reconstruction + kl_weight * penalty, metrics, model_state)


def _moments(
    text_vae: TextVAE, params: Params, tokens: jax.Array, mask: jax.Array, *, train: bool
) -> tuple[jax.Array, jax.Array]:
    """Return mean and log-variance [B, L] of q(z | x)."""
    inputs = tokens[:, 1:].astype(jnp.int32)
    outputs = text_vae.encoder.apply({"params": params["encoder"]}, inputs, mask, train=train)
    mean, log_variance = jnp.split(cast(jax.Array, outputs), 2, axis=-1)
    return mean, log_variance


def _log_prob(
    text_vae: TextVAE,
    params: Params,
    tokens: jax.Array,
    mask: jax.Array,
    latents: jax.Array,
    keys: Key | None = None,
) -> jax.Array:
    """Return log p(x | z) [B]; in training the decoder needs keys [B]."""
    tokens = tokens.astype(jnp.int32)
    inputs, options = tokens[:, :-1], {}
    if keys is not None and text_vae.word_dropout:
        lost = jax.vmap(lambda key: jax.random.bernoulli(key, text_vae.word_dropout, inputs.shape[1:]))(keys)
        inputs = jnp.where(lost, text_vae.line_end, inputs)
    if keys is not None and getattr(text_vae.network, "dropout", 0.0):
        options["dropout_keys"] = folded_keys(keys, 1)
    variables = {"params": params["decoder"]}
    logits = text_vae.network.apply(variables, inputs, latents, train=keys is not None, **options)
    return jnp.sum(softmax().log_prob(cast(jax.Array, logits), tokens[:, 1:]) * mask, axis=1)


# ---------------------------------------------------------------- latents: tokens are int [N, T + 1], as in a batch


def prior(text_vae: TextVAE, key: Key, num_samples: int) -> jax.Array:
    """Draw latents [N, L], standard normal."""
    return normal_prior(text_vae.latent_size)(key, num_samples)


def posterior(text_vae: TextVAE, state: TrainState, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean and log-variance [N, L] of q(z | x)."""
    mask = until_line_end(tokens[:, 1:], text_vae.line_end)
    return _moments(text_vae, _params(state), tokens, mask, train=False)


def encode(text_vae: TextVAE, state: TrainState, tokens: jax.Array) -> jax.Array:
    """Encode lines int [N, T + 1] to latents [N, L], the posterior's means."""
    return posterior(text_vae, state, tokens)[0]


def decode(text_vae: TextVAE, state: TrainState, latents: jax.Array) -> jax.Array:
    """Decode latents [N, L] to lines, always taking the likeliest token."""
    prompts, lengths = jnp.full((len(latents), 1), text_vae.line_end, jnp.int32), [1] * len(latents)
    decoding = _begin_at(text_vae, state, jax.random.key(0), prompts, lengths, text_vae.sample_length, latents)
    return advance(text_vae, state, decoding, text_vae.sample_length, SamplingParams(temperature=0.0)).tokens


def reconstruct(text_vae: TextVAE, state: TrainState, tokens: jax.Array) -> jax.Array:
    """Encode and decode lines int [N, T + 1]."""
    return decode(text_vae, state, encode(text_vae, state, tokens))


def log_weights(text_vae: TextVAE, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return log p(x, z) - log q(z | x) [B] of one z for each line."""
    params, tokens, mask = _params(state), batch["tokens"], batch["weights"]
    mean, log_variance = _moments(text_vae, params, tokens, mask, train=False)
    latents, log_density = draw_normal(mean, log_variance, example_keys(key, batch["index"]))
    return _log_prob(text_vae, params, tokens, mask, latents) + standard_normal_log_density(latents) - log_density


def log_likelihood(text_vae: TextVAE, state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
    """Return log p(x) [B] in nats, estimated with `num_samples` latents per line."""
    return importance_weighted_log_likelihood(partial(log_weights, text_vae, state), key, batch, num_samples)


# ---------------------------------------------------------------- tokens


def sample(
    text_vae: TextVAE,
    state: TrainState,
    key: Key,
    num_samples: int,
    *,
    condition: None = None,
    choice: SamplingParams | None = None,
) -> jax.Array:
    """Draw lines int [num_samples, sample_length], from latents of the prior; `choice` says how tokens are drawn."""
    refuse_condition(condition)
    prompts = jnp.full((num_samples, 1), text_vae.line_end, jnp.int32)
    decoding = begin(text_vae, state, key, prompts, [1] * num_samples, text_vae.sample_length)
    return advance(text_vae, state, decoding, text_vae.sample_length, choice).tokens[:, 1:]


def begin(
    text_vae: TextVAE,
    state: TrainState,
    key: Key,
    prompts: jax.Array,
    lengths: Sequence[int] | jax.Array,
    num_tokens: int,
) -> DecodeState:
    """Return the state of decoding after prompts int [B, P] of known lengths [B], each with a latent of the prior."""
    latent_key, token_key = jax.random.split(key)
    latents = prior(text_vae, latent_key, len(prompts))
    return _begin_at(text_vae, state, token_key, prompts, lengths, num_tokens, latents)


def advance(
    text_vae: TextVAE,
    state: TrainState,
    decoding: DecodeState,
    count: int | jax.Array,
    choice: SamplingParams | None = None,
) -> DecodeState:
    """Draw `count` more tokens of each row."""
    return decoding_loop.advance(
        Decoder(text_vae.network), _decoder_variables(state), decoding, count, choice or SamplingParams()
    )


def model(text_vae: TextVAE) -> GenerativeModel:
    """Bind these functions to a spec."""
    return single_loss.bind(
        training(text_vae),
        sample=partial(sample, text_vae),
        latents=Latents(
            partial(prior, text_vae),
            partial(decode, text_vae),
            partial(encode, text_vae),
            partial(reconstruct, text_vae),
            partial(posterior, text_vae),
        ),
        likelihood=Likelihood(partial(log_likelihood, text_vae), partial(log_weights, text_vae)),
        tokens=Tokens(partial(begin, text_vae), partial(advance, text_vae), text_vae.line_end),
    )


def _params(state: TrainState) -> Params:
    return averaged_params(state, "text_vae")


def _decoder_variables(state: TrainState) -> Variables:
    return {"params": _params(state)["decoder"]}


def _begin_at(
    text_vae: TextVAE,
    state: TrainState,
    key: Key,
    prompts: jax.Array,
    lengths: Sequence[int] | jax.Array,
    num_tokens: int,
    latents: jax.Array,
) -> DecodeState:
    return decoding_loop.begin(
        Decoder(text_vae.network), _decoder_variables(state), key, prompts, lengths, num_tokens, latents
    )
