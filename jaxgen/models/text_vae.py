"""Variational autoencoders of sentences (Bowman et al. 2016, https://arxiv.org/abs/1511.06349)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys, folded_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.data.lines import until_line_end
from jaxgen.metrics.likelihood import importance_weighted_log_likelihood
from jaxgen.models.autoregressive import decoding as decoding_loop
from jaxgen.models.autoregressive.decoding import Decoder, DecodeState, SamplingParams
from jaxgen.models.autoregressive.outputs import softmax
from jaxgen.models.conditional_samples import normal_prior, sample_by_condition
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.vae.kl_terms import kl_weight_schedule, with_free_bits
from jaxgen.models.vae.posteriors import draw_normal, kl_by_latent, standard_normal_log_density
from jaxgen.models.variables import init_network

Params = dict[str, Any]


def text_vae(
    encoder: nn.Module,
    network: nn.Module,
    *,
    latent_size: int,
    optimizer: optax.GradientTransformation,
    line_end: int,
    beta: float = 1.0,
    kl_warmup_steps: int = 0,
    free_bits: float = 0.0,
    word_dropout: float = 0.0,
    sample_length: int = 64,
) -> GenerativeModel:
    """A latent-variable model of lines, trained on a bound of log p(x), whose decoder is autoregressive.

    The loss of a line x_1, ..., x_T (the last of them the line end), in nats, with z from q(z | x) = N(m, diag v) and a
    standard normal prior:

        -sum_t log p(x_t | x_{<t}, z) + w KL(q(z | x) || p(z))

    Such a decoder can do without z. What keeps z in use: `kl_warmup_steps`, `free_bits` and `word_dropout`.

    Args:
      encoder: `encoder(tokens int [B, T], mask [B, T], train=...) -> [B, 2 L]`, m and log v.
      network: `network(tokens int [B, T], latents [B, L], train=...) -> logits [B, T, K]` of the token behind each,
        with what `decoding` lists to be drawn from; an attribute `dropout` is as of `SequenceModel`.
      latent_size: L.
      line_end: the token that lines end with, which also comes before their first.
      beta, kl_warmup_steps, free_bits: of the KL term (`jaxgen.models.vae.kl_terms`).
      word_dropout: how often, while it is trained, a token that the decoder looks back at is a line end in place of
        what was there (section 3.1).
      sample_length: tokens of a sample; lines end before.

    A batch has `tokens` int [B, T + 1] and `weights` [B, T], as of `jaxgen.data.lines.load_lines`.

    Metrics: `text_vae/loss`; `text_vae/reconstruction`, -log p(x | z), and `text_vae/kl`, in nats a line without
    weights; `text_vae/elbo`, minus their sum.

    `sample(state, key, num_samples) -> tokens int [num_samples, sample_length]`, of latents from the prior.

    `functions`, tokens being [N, T + 1] as in a batch: `prior(key, num_samples) -> latents`;
    `encode(state, tokens) -> latents [N, L]`, the posterior's means; `decode(state, latents) -> tokens [N, T + 1]`,
    always the likeliest; `reconstruct(state, tokens) -> tokens`; `posterior(state, tokens) -> (mean, log_variance)`;
    `log_weights` and `log_likelihood` as of `jaxgen.models.vae`; `begin`, `advance` and `first_token` as of
    `SequenceModel`, of a latent from the prior for each prompt.
    """
    output, drawing, prior = softmax(), Decoder(network), normal_prior(latent_size)

    def init_networks(key: Key, batch: Batch) -> tuple[Params, dict[str, Any]]:
        encoder_key, decoder_key = jax.random.split(key)
        tokens = batch["tokens"].astype(jnp.int32)
        latents = jnp.zeros((len(tokens), latent_size))
        encoder_params, _ = init_network(encoder, encoder_key, tokens[:, 1:], batch["weights"])
        decoder_params, _ = init_network(network, decoder_key, tokens[:, :-1], latents)
        return {"encoder": encoder_params, "decoder": decoder_params}, {}

    def moments_of(params: Params, tokens: jax.Array, mask: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        outputs = encoder.apply({"params": params["encoder"]}, tokens[:, 1:].astype(jnp.int32), mask, train=train)
        return tuple(jnp.split(outputs, 2, axis=-1))

    def log_prob(
        params: Params, tokens: jax.Array, mask: jax.Array, latents: jax.Array, keys: Key | None = None
    ) -> jax.Array:
        """log p(x | z) [B]; keys [B] where the decoder is trained."""
        tokens = tokens.astype(jnp.int32)
        inputs, options = tokens[:, :-1], {"train": keys is not None}
        if keys is not None and word_dropout:
            lost = jax.vmap(lambda key: jax.random.bernoulli(key, word_dropout, inputs.shape[1:]))(keys)
            inputs = jnp.where(lost, line_end, inputs)
        if keys is not None and getattr(network, "dropout", 0.0):
            options["dropout_keys"] = folded_keys(keys, 1)
        logits = network.apply({"params": params["decoder"]}, inputs, latents, **options)
        return jnp.sum(output.log_prob(logits, tokens[:, 1:]) * mask, axis=1)

    def loss(
        params: Params, model_state: Any, batch: Batch, key: Key, *, train: bool, kl_weight: jax.Array
    ) -> LossOutput:
        latent_key, decoder_key = jax.random.split(key)
        tokens, mask = batch["tokens"], batch["weights"]
        mean, log_variance = moments_of(params, tokens, mask, train=train)
        latents, _ = draw_normal(mean, log_variance, example_keys(latent_key, batch["index"]))
        keys = example_keys(decoder_key, batch["index"]) if train else None
        reconstruction = -log_prob(params, tokens, mask, latents, keys)
        by_latent = kl_by_latent(mean, log_variance)
        kl = jnp.sum(by_latent, axis=-1)
        penalty = with_free_bits(by_latent, free_bits) if free_bits else kl
        metrics = {"reconstruction": reconstruction, "kl": kl, "elbo": -reconstruction - kl}
        return LossOutput(reconstruction + kl_weight * penalty, metrics, model_state)

    # ------------------------------------------------------------ use

    def params_of(state: TrainState) -> Params:
        return averaged_params(state, "text_vae")

    def posterior(state: TrainState, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return moments_of(params_of(state), tokens, until_line_end(tokens[:, 1:], line_end), train=False)

    def encode(state: TrainState, tokens: jax.Array) -> jax.Array:
        return posterior(state, tokens)[0]

    def begin_at(
        state: TrainState, key: Key, prompts: jax.Array, lengths: Any, num_tokens: int, latents: jax.Array
    ) -> DecodeState:
        return decoding_loop.begin(
            drawing, {"params": params_of(state)["decoder"]}, key, prompts, lengths, num_tokens, latents
        )

    def begin(state: TrainState, key: Key, prompts: jax.Array, lengths: Any, num_tokens: int) -> DecodeState:
        latent_key, token_key = jax.random.split(key)
        return begin_at(state, token_key, prompts, lengths, num_tokens, prior(latent_key, len(prompts)))

    def advance(
        state: TrainState, decoding: DecodeState, count: int | jax.Array, choice: SamplingParams | None = None
    ) -> DecodeState:
        return decoding_loop.advance(
            drawing, {"params": params_of(state)["decoder"]}, decoding, count, choice or SamplingParams()
        )

    def decode(state: TrainState, latents: jax.Array) -> jax.Array:
        prompts, lengths = jnp.full((len(latents), 1), line_end, jnp.int32), [1] * len(latents)
        decoding = begin_at(state, jax.random.key(0), prompts, lengths, sample_length, latents)
        return advance(state, decoding, sample_length, SamplingParams(temperature=0.0)).tokens

    def draw(state: TrainState, key: Key, num_samples: int, condition: None, **options: Any) -> jax.Array:
        del condition
        prompts = jnp.full((num_samples, 1), line_end, jnp.int32)
        decoding = begin(state, key, prompts, [1] * num_samples, sample_length)
        return advance(state, decoding, sample_length, **options).tokens[:, 1:]

    def log_weights(state: TrainState, key: Key, batch: Batch) -> jax.Array:
        params, tokens, mask = params_of(state), batch["tokens"], batch["weights"]
        mean, log_variance = moments_of(params, tokens, mask, train=False)
        latents, log_density = draw_normal(mean, log_variance, example_keys(key, batch["index"]))
        return log_prob(params, tokens, mask, latents) + standard_normal_log_density(latents) - log_density

    def log_likelihood(state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
        return importance_weighted_log_likelihood(
            lambda key, batch: log_weights(state, key, batch), key, batch, num_samples
        )

    return one_loss_model(
        name="text_vae",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        schedules={"kl_weight": kl_weight_schedule(beta, kl_warmup_steps)},
        sample=sample_by_condition(draw, None),
        functions={
            "prior": prior,
            "encode": encode,
            "decode": decode,
            "reconstruct": lambda state, tokens: decode(state, encode(state, tokens)),
            "posterior": posterior,
            "log_weights": log_weights,
            "log_likelihood": log_likelihood,
            "begin": begin,
            "advance": advance,
            "first_token": lambda: line_end,
        },
    )
