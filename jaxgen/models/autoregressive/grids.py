"""Autoregressive models of grids: p(tokens) as the product of each token's probability given those before it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import Condition, GenerativeModel, Likelihood, ModelSpec
from jaxgen.core.per_example import row_sums
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, PyTree, Variables
from jaxgen.models import single_loss
from jaxgen.models.conditional_samples import classes_in_turn, decoding_labels
from jaxgen.models.likelihoods import bernoulli
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network

Drawn = tuple[jax.Array, jax.Array, PyTree]
"""(tokens [N, T], their log p [N], the network's cache)."""


class Tokenizer(NamedTuple):
    """A conversion of batches to tokens and of tokens to samples: a first stage trained before, or a rule."""

    load: Callable[[], Variables]
    """() -> its arrays, which are kept in `model_state["frozen"]`, so that each checkpoint is complete."""
    encode: Callable[[Variables, Key, Batch], jax.Array]
    """(arrays, key, batch) -> tokens int [B, *S]."""
    decode: Callable[[Variables, jax.Array], jax.Array]
    """(arrays, tokens) -> samples [B, ...]."""


def binary_pixels() -> Tokenizer:
    """Return the tokenizer of images [B, H, W, 1] in [-1, 1] to tokens [B, H, W], 1 where a pixel is white, and back.

    Gray values are drawn as black or white, as by the likelihood `bernoulli`: anew at each step, unless the data
    were binarized once and for all (`jaxgen.data.binarization`).
    """

    def encode(arrays: Variables, key: Key, batch: Batch) -> jax.Array:
        del arrays
        white = bernoulli().targets(key, batch["index"], batch["image"]) > 0.0
        return jnp.squeeze(white, -1).astype(jnp.int32)

    def decode(arrays: Variables, tokens: jax.Array) -> jax.Array:
        del arrays
        return jnp.where(tokens[..., None] == 1, 1.0, -1.0)

    return Tokenizer(dict, encode, decode)


@dataclass(frozen=True)
class AutoregressiveGrid(ModelSpec):
    """A model of grids, trained on -log p(x) = -sum_i log p(x_i | x_1, ..., x_{i-1}), tokens x in raster order.

    Metrics, of -log p in nats: `autoregressive/loss`, per token; `autoregressive/nats`, per example.
    """

    network: nn.Module
    """`network(tokens int [B, *S], train=...) -> logits [B, *S, K]`, each of which depends only on the tokens before
    it. If it has `start(tokens) -> cache` and `logits_at(cache, tokens, i) -> (cache, logits [B, K] of token i)`, which
    is called for every i in order, samples are drawn by these; otherwise by a full pass for each token."""
    token_shape: tuple[int, ...]
    """S."""
    optimizer: optax.GradientTransformation
    num_classes: int | None = None
    """None: no condition. N: the network gets the batch's `label` [B] in 0..N-1 as its last argument."""
    tokenizer: Tokenizer | None = None
    """Makes the tokens; None: they are the batch's `tokens`, and samples are tokens."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights that evaluation and samples use; None: no average."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "token_shape", tuple(self.token_shape))

    def model(self) -> GenerativeModel:
        return model(self)


def init(grid: AutoregressiveGrid, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(_training(grid), key, batch)


def train_step(grid: AutoregressiveGrid, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    return single_loss.train_step(_training(grid), state, batch, key)


def eval_step(grid: AutoregressiveGrid, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples."""
    return single_loss.eval_step(_training(grid), state, batch, key)


def loss(
    grid: AutoregressiveGrid, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return -log p per token [B], in nats."""
    if grid.tokenizer is None:
        tokens = batch["tokens"].astype(jnp.int32)
    else:
        tokens = grid.tokenizer.encode(model_state["frozen"], key, batch)
    condition = _condition_of(grid, batch)
    logits, network_state = apply_network(grid.network, params, model_state["network"], tokens, *condition, train=train)
    nats = _nats(logits, tokens)
    losses = nats / math.prod(grid.token_shape)
    return LossOutput(losses, {"nats": nats}, {**model_state, "network": network_state})


def log_prob(grid: AutoregressiveGrid, state: TrainState, tokens: jax.Array, *labels: jax.Array) -> jax.Array:
    """Return log p [B] of tokens int [B, *S], in nats."""
    return -_nats(_apply(grid, state, tokens, *labels, train=False), tokens)


def sample_tokens(
    grid: AutoregressiveGrid, state: TrainState, key: Key, num_samples: int, *labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw tokens int [num_samples, *S], and return them with their log p [num_samples]."""
    keys = example_keys(key, jnp.arange(num_samples, dtype=jnp.uint32))
    length, cached = math.prod(grid.token_shape), hasattr(grid.network, "logits_at")

    def draw_next(i: jax.Array, drawn: Drawn) -> Drawn:
        tokens, log_probs, cache = drawn  # [N, T], [N]
        inputs = tokens.reshape(-1, *grid.token_shape)
        if cached:
            cache, logits = _apply(grid, state, cache, inputs, i, *labels, method="logits_at")
        else:
            logits = _apply(grid, state, inputs, *labels, train=False).reshape(num_samples, length, -1)[:, i]
        logits = jax.nn.log_softmax(logits)  # [N, K]
        chosen = jax.vmap(lambda k, row: jax.random.categorical(jax.random.fold_in(k, i), row))(keys, logits)
        log_probs += jnp.take_along_axis(logits, chosen[:, None], -1)[:, 0]
        return tokens.at[:, i].set(chosen.astype(tokens.dtype)), log_probs, cache

    empty = jnp.zeros((num_samples, length), jnp.int32)
    cache = _apply(grid, state, empty.reshape(-1, *grid.token_shape), *labels, method="start") if cached else ()
    tokens, log_probs, _ = jax.lax.fori_loop(0, length, draw_next, (empty, jnp.zeros(num_samples), cache))
    return tokens.reshape(-1, *grid.token_shape), log_probs


def sample(
    grid: AutoregressiveGrid, state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None
) -> jax.Array:
    """Draw samples [num_samples, ...], with labels [num_samples] if there are classes; None: every class in turn.

    Raises:
      ValueError: a condition for a model without classes.
    """
    labels = decoding_labels(condition, num_samples, grid.num_classes)
    tokens, _ = sample_tokens(grid, state, key, num_samples, *labels)
    return tokens if grid.tokenizer is None else grid.tokenizer.decode(state.model_state["frozen"], tokens)


def model(grid: AutoregressiveGrid) -> GenerativeModel:
    """Return the model of a spec, with its capabilities."""
    return single_loss.bind(
        _training(grid),
        sample=partial(sample, grid),
        condition=None if grid.num_classes is None else Condition("class", classes_in_turn(grid.num_classes)),
        likelihood=Likelihood(log_prob=partial(log_prob, grid)),
    )


def _training(grid: AutoregressiveGrid) -> SingleLoss:
    return SingleLoss(
        name="autoregressive",
        init_networks=partial(_init_networks, grid),
        loss=partial(loss, grid),
        optimizer=grid.optimizer,
        ema_decay=grid.ema_decay,
    )


def _init_networks(grid: AutoregressiveGrid, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    size = len(next(iter(batch.values())))
    tokens = jnp.zeros((size, *grid.token_shape), jnp.int32)
    params, network_state = init_network(grid.network, key, tokens, *_condition_of(grid, batch))
    # Copied, since the state's buffers are donated and must belong to no other array.
    frozen = {} if grid.tokenizer is None else {"frozen": jax.tree.map(jnp.copy, grid.tokenizer.load())}
    return params, {"network": network_state, **frozen}


def _condition_of(grid: AutoregressiveGrid, batch: Batch) -> tuple[jax.Array, ...]:
    return () if grid.num_classes is None else (batch["label"],)


def _apply(grid: AutoregressiveGrid, state: TrainState, *inputs: PyTree, **options: PyTree) -> PyTree:
    variables = {"params": averaged_params(state, "autoregressive"), **state.model_state["network"]}
    return grid.network.apply(variables, *inputs, **options)


def _nats(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Return -log p [B] of tokens [B, *S] under logits [B, *S, K]."""
    return row_sums(optax.softmax_cross_entropy_with_integer_labels(logits, tokens))
