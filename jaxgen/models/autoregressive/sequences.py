"""Sequences of any length, autoregressively: text by a GPT or a recurrent network, audio by a WaveNet."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.models.autoregressive.decoding import Choice, Decoding, decoder
from jaxgen.models.autoregressive.low_rank import create_adapters, with_adapters
from jaxgen.models.autoregressive.outputs import OutputDistribution, softmax
from jaxgen.models.conditional_samples import sample_by_condition
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import Variables, init_network

Condition = tuple[Any, ...]
"""What a network gets behind the tokens: arrays, or trees of them, all with one row for each example."""


def sequence_model(
    network: nn.Module,
    *,
    optimizer: optax.GradientTransformation,
    output: OutputDistribution | None = None,
    condition_of: Callable[[Batch], Condition] = lambda batch: (),
    conditions: Callable[[int], Condition] | None = None,
    pretrained: Callable[[], Any] | None = None,
    adapter_rank: int | None = None,
    first_token: int = 0,
    sample_length: int = 256,
    ema_decay: float | None = None,
    micro_batches: int = 1,
    report_bits: bool = False,
    augment: Callable[[Key, jax.Array], jax.Array] | None = None,
) -> GenerativeModel:
    """-log p(x_1, ..., x_T | x_0) = -sum_t log p(x_t | x_0, ..., x_{t-1}) of windows of tokens.

    A batch has `tokens` int [B, T + 1], of which the first is given, and may have `weights` float [B, T]: of each token
    predicted, 1 or, for padding, 0.

    Args:
      network: `network(tokens int [B, T], *condition, train=...) -> logits [B, T, K]` of the token behind each, none of
        which depends on a later one; to be sampled it has what `decoding` lists. With an attribute
        `dropout` above 0 it gets `dropout_keys` [B] where it is trained.
      output: the distribution that the network gives the parameters of (`outputs`); None: `softmax`.
      condition_of: what of a batch is the condition.
      conditions: the condition of so many samples, where none is given; needed if there is one.
      pretrained: gives the network's params to begin with; None: they are drawn.
      adapter_rank: only low-rank adapters of this rank are trained (`low_rank`), beside the params that
        `pretrained` gives, which go to `model_state["frozen"]`; None: all is trained.
      first_token: what samples without a prompt begin behind (a line end).
      sample_length: how many tokens a sample has if nothing is said.
      ema_decay: of the moving average of the weights that evaluation and samples use; None: no average.
      micro_batches: see `one_loss_model`.
      report_bits: whether `autoregressive/bits`, the loss over ln 2, is reported besides.
      augment: (key, tokens [T + 1] of one example) -> others that are trained on in their place.

    Metrics, averaged over tokens: `autoregressive/loss`, -log p in nats; `autoregressive/accuracy`, how often the
    likeliest token is the right one.

    `sample(state, key, num_samples, *, condition=None, num_tokens=sample_length, choice=None) -> tokens int
    [num_samples, num_tokens]`, where a condition is a tuple as `condition_of` gives it.

    `functions`: `logits(state, tokens [B, T], *condition) -> [B, T, K]`;
    `begin(state, key, prompts [B, P], lengths [B], num_tokens, *condition) -> Decoding` and
    `advance(state, decoding, count, choice=None) -> Decoding`, see `decoding`;
    `first_token()` and `network()`, as they were given; `network_params(state)`, with adapters added; and `conditions`,
    if it was given.
    """
    output = output or softmax()
    drawing = decoder(network, output.draw)

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        network_key, adapter_key = jax.random.split(key)
        tokens = batch["tokens"][:, :-1].astype(jnp.int32)
        params, model_state = init_network(network, network_key, tokens, *condition_of(batch))
        if pretrained is not None:
            params = jax.tree.map(jnp.copy, pretrained())  # the state's buffers are donated, and may not be another's
        if adapter_rank is None:
            return params, model_state
        return create_adapters(adapter_key, params, adapter_rank), {**model_state, "frozen": params}

    def variables_of(params: Any, model_state: dict[str, Any]) -> Variables:
        """What the network is applied with."""
        others = {name: value for name, value in model_state.items() if name != "frozen"}
        if adapter_rank is not None:
            params = with_adapters(model_state["frozen"], params)
        return {"params": params, **others}

    def loss(params: Any, model_state: dict[str, Any], batch: Batch, key: Key, *, train: bool) -> LossOutput:
        tokens = batch["tokens"].astype(jnp.int32)
        options = {}
        if train and augment is not None:
            augment_key, key = jax.random.split(key)
            tokens = jax.vmap(augment)(example_keys(augment_key, batch["index"]), tokens)
        if train and getattr(network, "dropout", 0.0):
            options["dropout_keys"] = example_keys(key, batch["index"])
        condition = condition_of(batch)
        logits = network.apply(variables_of(params, model_state), tokens[:, :-1], *condition, train=train, **options)
        targets, weights = tokens[:, 1:], batch.get("weights", jnp.ones(logits.shape[:2], jnp.float32))
        nats = -output.log_prob(logits, targets)  # [B, T]
        right = output.likeliest(logits) == targets
        losses, metrics = jnp.sum(nats * weights, axis=1), {"accuracy": jnp.sum(right * weights, axis=1)}
        if report_bits:
            metrics["bits"] = losses / math.log(2.0)
        return LossOutput(losses, metrics, model_state, weights=jnp.sum(weights, axis=1))

    # ------------------------------------------------------------ use

    def variables(state: TrainState) -> Variables:
        return variables_of(averaged_params(state, "autoregressive"), state.model_state)

    def logits(state: TrainState, tokens: jax.Array, *condition: Any) -> jax.Array:
        return network.apply(variables(state), tokens, *condition, train=False)

    def begin(
        state: TrainState, key: Key, prompts: jax.Array, lengths: Any, num_tokens: int, *condition: Any
    ) -> Decoding:
        return drawing.begin(variables(state), key, prompts, lengths, num_tokens, *condition)

    def advance(
        state: TrainState, decoding: Decoding, count: int | jax.Array, choice: Choice | None = None
    ) -> Decoding:
        return drawing.advance(variables(state), decoding, count, choice or Choice())

    def draw(
        state: TrainState,
        key: Key,
        num_samples: int,
        condition: Condition | None,
        *,
        num_tokens: int = sample_length,
        choice: Choice | None = None,
    ) -> jax.Array:
        prompts = jnp.full((num_samples, 1), first_token, jnp.int32)
        decoding = begin(state, key, prompts, [1] * num_samples, num_tokens, *(condition or ()))
        return advance(state, decoding, num_tokens, choice).tokens[:, 1:]

    return one_loss_model(
        name="autoregressive",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        micro_batches=micro_batches,
        sample=sample_by_condition(draw, conditions),
        functions={
            "logits": logits,
            "begin": begin,
            "advance": advance,
            "first_token": lambda: first_token,
            "network": lambda: network,
            "network_params": lambda state: variables(state)["params"],
            **({} if conditions is None else {"conditions": conditions}),
        },
    )
