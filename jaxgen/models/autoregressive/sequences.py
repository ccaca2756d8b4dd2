"""Sequences of any length, autoregressively: text by a GPT or a recurrent network, audio by a WaveNet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import Condition, GenerativeModel, ModelSpec, Tokens
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, ConditionValue, Key, Metrics, ModelState, Params, PyTree, Variables, present
from jaxgen.models import single_loss
from jaxgen.models.autoregressive import decoding as decoding_loop
from jaxgen.models.autoregressive.decoding import Decoder, DecodeState, SamplingParams
from jaxgen.models.autoregressive.low_rank import create_adapters, with_adapters
from jaxgen.models.autoregressive.outputs import OutputDistribution, softmax
from jaxgen.models.conditional_samples import chosen_condition
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import init_network

NetworkCondition = tuple[PyTree, ...]
"""A network's arguments after the tokens: arrays, or trees of them, all with one row for each example."""


def no_condition(batch: Batch) -> NetworkCondition:
    """Return the condition of a network that takes tokens alone."""
    del batch
    return ()


@dataclass(frozen=True)
class SequenceModel(ModelSpec):
    """A model of windows of tokens, -log p(x_1, ..., x_T | x_0) = -sum_t log p(x_t | x_0, ..., x_{t-1}).

    A batch has `tokens` int [B, T + 1], the first of which is given, and may have `weights` float [B, T] of the
    predicted tokens, 0 for padding and 1 for others.

    Metrics, averaged over tokens: `autoregressive/loss`, -log p in nats; `autoregressive/accuracy`, how often the
    likeliest token is the right one; with `report_bits` also `autoregressive/bits`, the loss over ln 2.
    """

    network: nn.Module
    """`network(tokens int [B, T], *condition, train=...) -> next-token logits [B, T, K]`, none of which depends on a
    later token; to be sampled it has the methods that `decoding` lists. If it has an attribute `dropout` above 0, it
    gets `dropout_keys` [B] in training."""
    optimizer: optax.GradientTransformation
    output: OutputDistribution | None = None
    """The distribution whose parameters the network returns (`outputs`); None: `softmax`."""
    condition_of: Callable[[Batch], NetworkCondition] = no_condition
    """batch -> the condition of its examples."""
    conditions: Callable[[int], NetworkCondition] | None = None
    """num_samples -> the default condition of samples; needed by a conditional model."""
    pretrained: Callable[[], Params] | None = None
    """() -> the network's initial params; None: they are drawn at random."""
    adapter_rank: int | None = None
    """Train only low-rank adapters of this rank (`low_rank`), beside the params that `pretrained` returns, which are
    kept in `model_state["frozen"]`; None: all params are trained."""
    first_token: int = 0
    """The token that samples without a prompt follow (a line end)."""
    sample_length: int = 256
    """Default number of tokens of a sample."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights that evaluation and samples use; None: no average."""
    micro_batches: int = 1
    """Number of parts of each device's batch whose gradients are added (`jaxgen.models.single_loss.SingleLoss`)."""
    report_bits: bool = False
    """Whether `autoregressive/bits` is reported."""
    augment: Callable[[Key, jax.Array], jax.Array] | None = None
    """(key, tokens [T + 1] of one example) -> the tokens to train on in their place."""
    condition_kind: Literal["class", "caption", "speech"] = "speech"
    """The kind of a conditional model's condition."""

    def __post_init__(self) -> None:
        if self.output is None:
            object.__setattr__(self, "output", softmax())

    @property
    def decoder(self) -> Decoder:
        """The network with the draw of its output distribution."""
        return Decoder(self.network, present(self.output).draw)

    def model(self) -> GenerativeModel:
        return model(self)


def init(sequences: SequenceModel, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(_training(sequences), key, batch)


def train_step(sequences: SequenceModel, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    return single_loss.train_step(_training(sequences), state, batch, key)


def eval_step(sequences: SequenceModel, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples."""
    return single_loss.eval_step(_training(sequences), state, batch, key)


def loss(
    sequences: SequenceModel, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return -log p [B], the sum over the tokens of each example, in nats."""
    tokens = batch["tokens"].astype(jnp.int32)
    network, options = sequences.network, {}
    if train and sequences.augment is not None:
        augment_key, key = jax.random.split(key)
        tokens = jax.vmap(sequences.augment)(example_keys(augment_key, batch["index"]), tokens)
    if train and getattr(network, "dropout", 0.0):
        options["dropout_keys"] = example_keys(key, batch["index"])
    condition = sequences.condition_of(batch)
    variables = _variables_of(sequences, params, model_state)
    logits = cast(jax.Array, network.apply(variables, tokens[:, :-1], *condition, train=train, **options))
    output = present(sequences.output)
    targets, weights = tokens[:, 1:], batch.get("weights", jnp.ones(logits.shape[:2], jnp.float32))
    nats = -output.log_prob(logits, targets)  # [B, T]
    right = output.likeliest(logits) == targets
    losses, metrics = jnp.sum(nats * weights, axis=1), {"accuracy": jnp.sum(right * weights, axis=1)}
    if sequences.report_bits:
        metrics["bits"] = losses / math.log(2.0)
    return LossOutput(losses, metrics, model_state, weights=jnp.sum(weights, axis=1))


def logits(sequences: SequenceModel, state: TrainState, tokens: jax.Array, *condition: ConditionValue) -> jax.Array:
    """Return the next-token logits [B, T, K] of tokens int [B, T]."""
    variables = _variables(sequences, state)
    return cast(jax.Array, sequences.network.apply(variables, tokens, *condition, train=False))


def begin(
    sequences: SequenceModel,
    state: TrainState,
    key: Key,
    prompts: jax.Array,
    lengths: Sequence[int] | jax.Array,
    num_tokens: int,
    *condition: ConditionValue,
) -> DecodeState:
    """Return the state of decoding after prompts int [B, P] of `lengths` [B], with room for `num_tokens` more."""
    variables = _variables(sequences, state)
    return decoding_loop.begin(sequences.decoder, variables, key, prompts, lengths, num_tokens, *condition)


def advance(
    sequences: SequenceModel,
    state: TrainState,
    decoding: DecodeState,
    count: int | jax.Array,
    params: SamplingParams | None = None,
) -> DecodeState:
    """Return the state of decoding `count` tokens later."""
    variables = _variables(sequences, state)
    return decoding_loop.advance(sequences.decoder, variables, decoding, count, params or SamplingParams())


def sample(
    sequences: SequenceModel,
    state: TrainState,
    key: Key,
    num_samples: int,
    *,
    condition: NetworkCondition | None = None,
    num_tokens: int | None = None,
    choice: SamplingParams | None = None,
) -> jax.Array:
    """Draw tokens int [num_samples, num_tokens] that follow `first_token`.

    Args:
      condition: a tuple as returned by `condition_of`; None: that of `conditions`.
      num_tokens: number of tokens; None: `sample_length`.
      choice: how tokens are drawn.

    Raises:
      ValueError: a condition for a model without one.
    """
    condition = chosen_condition(condition, num_samples, sequences.conditions)
    num_tokens = sequences.sample_length if num_tokens is None else num_tokens
    prompts = jnp.full((num_samples, 1), sequences.first_token, jnp.int32)
    decoding = begin(sequences, state, key, prompts, [1] * num_samples, num_tokens, *(condition or ()))
    return advance(sequences, state, decoding, num_tokens, choice).tokens[:, 1:]


def network_params(sequences: SequenceModel, state: TrainState) -> Params:
    """Return the network's parameters, with adapters added."""
    return _variables(sequences, state)["params"]


def model(sequences: SequenceModel) -> GenerativeModel:
    """Return the model of a spec, with its capabilities."""
    tokens = Tokens(
        begin=partial(begin, sequences),
        advance=partial(advance, sequences),
        first_token=sequences.first_token,
        logits=partial(logits, sequences),
        network=sequences.network,
        network_params=partial(network_params, sequences),
    )
    conditions = sequences.conditions
    condition = None if conditions is None else Condition(sequences.condition_kind, conditions)
    return single_loss.bind(_training(sequences), sample=partial(sample, sequences), tokens=tokens, condition=condition)


def _training(sequences: SequenceModel) -> SingleLoss:
    return SingleLoss(
        name="autoregressive",
        init_networks=partial(_init_networks, sequences),
        loss=partial(loss, sequences),
        optimizer=sequences.optimizer,
        ema_decay=sequences.ema_decay,
        micro_batches=sequences.micro_batches,
    )


def _init_networks(sequences: SequenceModel, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    network_key, adapter_key = jax.random.split(key)
    tokens = batch["tokens"][:, :-1].astype(jnp.int32)
    params, model_state = init_network(sequences.network, network_key, tokens, *sequences.condition_of(batch))
    if sequences.pretrained is not None:
        params = jax.tree.map(jnp.copy, sequences.pretrained())  # donated buffers belong to no other array
    if sequences.adapter_rank is None:
        return params, model_state
    return create_adapters(adapter_key, params, sequences.adapter_rank), {**model_state, "frozen": params}


def _variables_of(sequences: SequenceModel, params: Params, model_state: ModelState) -> Variables:
    """Return the variables that the network is applied with."""
    others = {name: value for name, value in model_state.items() if name != "frozen"}
    if sequences.adapter_rank is not None:
        params = with_adapters(model_state["frozen"], params)
    return {"params": params, **others}


def _variables(sequences: SequenceModel, state: TrainState) -> Variables:
    return _variables_of(sequences, averaged_params(state, "autoregressive"), state.model_state)
