"""One transformer over a caption and the codes of its image (DALL-E: Ramesh et al. 2021, arXiv:2102.12092)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.core.keys import example_chances, example_keys
from jaxgen.core.model import Condition, GenerativeModel, ModelSpec
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import AnyArray, Batch, Key, Metrics, ModelState, Params, PyTree
from jaxgen.models import single_loss
from jaxgen.models.augmentation import random_shift
from jaxgen.models.autoregressive import decoding as decoding_loop
from jaxgen.models.autoregressive.decoding import Decoder, SamplingParams, choose
from jaxgen.models.autoregressive.grids import Tokenizer
from jaxgen.models.conditional_samples import captions_in_turn, chosen_condition
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import init_network

TEXT_WEIGHT = 1 / 8
"""The weight of the text's part of the loss; the image's part has the rest (section 2.2)."""


class Layout(NamedTuple):
    """The tokens of the transformer and their places.

    A sequence is a start token, 0; the caption, T tokens, where each place has a padding token of its own, K + place;
    and the image's codes, N tokens, where code c is token K + T + c.
    """

    num_text_tokens: int
    """K, including the 0 of padding."""
    caption_length: int
    """T."""
    num_codes: int
    """C."""
    grid_shape: tuple[int, ...]
    """The shape of the grid of an image's N codes."""

    @property
    def vocabulary_size(self) -> int:
        """K + T + C, the number of different tokens."""
        return self.num_text_tokens + self.caption_length + self.num_codes

    @property
    def context(self) -> int:
        """T + N, the number of tokens that are predicted."""
        return self.caption_length + math.prod(self.grid_shape)

    @property
    def first_code(self) -> int:
        """The token of code 0."""
        return self.num_text_tokens + self.caption_length

    def begin(self, captions: jax.Array) -> jax.Array:
        """Return the tokens [B, 1 + T] of captions int [B, T], which are padded with 0."""
        padding = self.num_text_tokens + jnp.arange(self.caption_length, dtype=jnp.int32)
        return jnp.pad(jnp.where(captions == 0, padding, captions), ((0, 0), (1, 0)))

    def tokens(self, captions: jax.Array, codes: jax.Array) -> jax.Array:
        """Return the tokens [B, 1 + T + N] of captions int [B, T] and codes int [B, *grid]."""
        return jnp.concatenate([self.begin(captions), codes.reshape(len(codes), -1) + self.first_code], axis=1)


@dataclass(frozen=True)
class DALLE(ModelSpec):
    """A transformer of log p(caption, codes), on batches with `image` and `caption` int [B, T], padded with 0.

    The loss of an example is 1/8 of the mean of -log p over its caption's tokens plus 7/8 of the mean over its codes.
    At each place only tokens of its kind are possible. As in the paper, each place of a caption has a padding token of
    its own, which is predicted like any other token.

    Metrics: `dall_e/loss`; `dall_e/text_nats` and `dall_e/image_nats`, -log p of a token of either kind; `dall_e/nats`,
    of all codes of an image.
    """

    network: nn.Module
    """`network(tokens int [B, T + N], train=...) -> next-token logits [B, T + N, V]`, none of which depends on a later
    token, with the methods that `decoding` lists. If it has an attribute `dropout` above 0, it gets `dropout_keys` [B]
    in training."""
    layout: Layout
    tokenizer: Tokenizer
    """The first stage, which encodes images to codes [B, *grid] and decodes codes to images."""
    prompts: tuple[tuple[int, ...], ...] | AnyArray
    """int [P, T], kept as tuples: the captions, in turn, of samples for which none are given."""
    optimizer: optax.GradientTransformation
    caption_in_training: Callable[[jax.Array, Batch], jax.Array] | None = None
    """(keys [B], batch) -> the captions int [B, T] to train on; None: the batch's `caption`."""
    caption_dropout: float = 0.1
    """Probability that the caption is empty in training, so that guidance has logits to compare with."""
    guidance: float = 1.0
    """w of classifier-free guidance, l(empty) + w (l(caption) - l(empty)), l the logits of a code; 1 is the caption
    alone, which takes half as long."""
    shift: int = 0
    """Training images are shifted by up to this many pixels before they are encoded."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights that evaluation and samples use; None: no average."""
    micro_batches: int = 1
    """Number of parts of each device's batch whose gradients are added (`jaxgen.models.single_loss.SingleLoss`)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(map(tuple, np.asarray(self.prompts).tolist())))

    def model(self) -> GenerativeModel:
        return model(self)


def init(dall_e: DALLE, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(_training(dall_e), key, batch)


def train_step(dall_e: DALLE, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch."""
    return single_loss.train_step(_training(dall_e), state, batch, key)


def eval_step(dall_e: DALLE, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples."""
    return single_loss.eval_step(_training(dall_e), state, batch, key)


def loss(dall_e: DALLE, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool) -> LossOutput:
    """Return the weighted sum [B] of -log p of a token of the caption and of a code, in nats."""
    code_key, caption_key, empty_key, shift_key, dropout_key = jax.random.split(key, 5)
    layout, captions, index, options = dall_e.layout, batch["caption"], batch["index"], {}
    if train and dall_e.shift:
        moved = random_shift(batch["image"], example_keys(shift_key, index), dall_e.shift)
        batch = {**batch, "image": moved}
    if train and dall_e.caption_in_training is not None:
        captions = dall_e.caption_in_training(example_keys(caption_key, index), batch)
    if train and dall_e.caption_dropout:
        captions = jnp.where(example_chances(empty_key, index, dall_e.caption_dropout)[:, None], 0, captions)
    if train and getattr(dall_e.network, "dropout", 0.0):
        options["dropout_keys"] = example_keys(dropout_key, index)
    codes = dall_e.tokenizer.encode(model_state["frozen"], code_key, batch)
    tokens = layout.tokens(captions, codes)
    logits = _logits_of(dall_e, params, model_state, tokens[:, :-1], train=train, **options)
    targets = tokens[:, 1 : layout.caption_length + 1], codes.reshape(len(codes), -1)
    text, image = map(optax.softmax_cross_entropy_with_integer_labels, logits, targets)  # [B, T], [B, N]
    text_nats, image_nats = jnp.mean(text, 1), jnp.mean(image, 1)
    losses = TEXT_WEIGHT * text_nats + (1.0 - TEXT_WEIGHT) * image_nats
    metrics = {"text_nats": text_nats, "image_nats": image_nats, "nats": jnp.sum(image, 1)}
    return LossOutput(losses, metrics, model_state)


def logits(dall_e: DALLE, state: TrainState, captions: jax.Array, codes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the logits of the captions' tokens [B, T, K + T] and of the codes [B, N, C]."""
    tokens = dall_e.layout.tokens(captions, codes)[:, :-1]
    return _logits_of(dall_e, averaged_params(state, "dall_e"), state.model_state, tokens, train=False)


def sample_codes(
    dall_e: DALLE,
    state: TrainState,
    key: Key,
    captions: jax.Array,
    *,
    guidance: float | None = None,
    choice: SamplingParams | None = None,
) -> jax.Array:
    """Draw codes int [B, *grid] of captions int [B, T]; `guidance` None: the spec's."""
    layout, number = dall_e.layout, len(captions)
    guidance, length = dall_e.guidance if guidance is None else guidance, math.prod(layout.grid_shape)
    if guidance != 1.0:  # beside each row, one with an empty caption that takes the same codes
        captions = jnp.concatenate([captions, jnp.zeros_like(captions)])
    decoder = Decoder(dall_e.network, partial(_draw_code, layout.first_code, guidance, number))
    variables = {"params": averaged_params(state, "dall_e"), **state.model_state["network"]}
    given = layout.begin(captions)
    decoding = decoding_loop.begin(decoder, variables, key, given, [given.shape[1]] * len(given), length)
    decoding = decoding_loop.advance(decoder, variables, decoding, length, choice or SamplingParams())
    codes = decoding.tokens[:number, given.shape[1] :] - layout.first_code
    return codes.reshape(number, *layout.grid_shape)


def sample(
    dall_e: DALLE,
    state: TrainState,
    key: Key,
    num_samples: int,
    *,
    condition: jax.Array | None = None,
    guidance: float | None = None,
    choice: SamplingParams | None = None,
) -> jax.Array:
    """Draw images [num_samples, H, W, C]. The keywords are what `jaxgen sample` and `jaxgen evaluate` offer.

    Args:
      condition: captions int [num_samples, T]; None: the prompts in turn.
      guidance: w; None: the spec's.
      choice: how codes are drawn.
    """
    captions = chosen_condition(condition, num_samples, captions_in_turn(np.asarray(dall_e.prompts)))
    codes = sample_codes(dall_e, state, key, captions, guidance=guidance, choice=choice)
    return dall_e.tokenizer.decode(state.model_state["frozen"], codes)


def model(dall_e: DALLE) -> GenerativeModel:
    """Return the model of a spec, with its capabilities."""
    return single_loss.bind(
        _training(dall_e),
        sample=partial(sample, dall_e),
        condition=Condition("caption", captions_in_turn(np.asarray(dall_e.prompts))),
    )


def _training(dall_e: DALLE) -> SingleLoss:
    return SingleLoss(
        name="dall_e",
        init_networks=partial(_init_networks, dall_e),
        loss=partial(loss, dall_e),
        optimizer=dall_e.optimizer,
        ema_decay=dall_e.ema_decay,
        micro_batches=dall_e.micro_batches,
    )


def _init_networks(dall_e: DALLE, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    tokens = jnp.zeros((len(batch["image"]), dall_e.layout.context), jnp.int32)
    params, network_state = init_network(dall_e.network, key, tokens)
    # Copied, since the state's buffers are donated and must belong to no other array.
    return params, {"network": network_state, "frozen": jax.tree.map(jnp.copy, dall_e.tokenizer.load())}


def _logits_of(
    dall_e: DALLE, params: Params, model_state: ModelState, tokens: jax.Array, **options: PyTree
) -> tuple[jax.Array, jax.Array]:
    """Return the logits of the possible tokens at each place of [B, T + N]: [B, T, K + T] and [B, N, C]."""
    variables = {"params": params, **model_state["network"]}
    logits = cast(jax.Array, dall_e.network.apply(variables, tokens, **options))
    length, first = dall_e.layout.caption_length, dall_e.layout.first_code
    return logits[:, :length, :first], logits[:, length:, first:]


def _draw_code(
    first_code: int, guidance: float, number: int, logits: jax.Array, keys: jax.Array, params: SamplingParams
) -> jax.Array:
    """Draw a code for each caption; with guidance there are twice `number` rows, those with an empty caption last."""
    logits = logits[:, first_code:]
    if guidance != 1.0:
        own, free = jnp.split(logits, 2)
        logits = free + guidance * (own - free)
    codes = choose(logits, keys[:number], params) + first_code
    return jnp.tile(codes, len(keys) // number)
