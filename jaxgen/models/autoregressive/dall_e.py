"""One transformer over a caption and the codes of its image (DALL-E: Ramesh et al. 2021, arXiv:2102.12092)."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_chances, example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.models.augmentation import random_shift
from jaxgen.models.autoregressive.decoding import Choice, choose, decoder
from jaxgen.models.autoregressive.grids import Tokenizer
from jaxgen.models.conditional_samples import captions_in_turn, sample_by_condition
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import init_network

TEXT_WEIGHT = 1 / 8
"""Of the text's part of the loss; that of the image's is the rest (section 2.2)."""


class Layout(NamedTuple):
    """Which tokens the transformer has, and where they stand.

    A sequence is a start, 0; the caption, T tokens, in which each place has a padding token of its own, K + place; and
    the image's codes, N tokens, of which code c is K + T + c.
    """

    num_text_tokens: int
    """K, with the 0 of padding."""
    caption_length: int
    """T."""
    num_codes: int
    """C."""
    grid_shape: tuple[int, ...]
    """Of the codes of an image, N of them."""

    @property
    def vocabulary_size(self) -> int:
        """K + T + C."""
        return self.num_text_tokens + self.caption_length + self.num_codes

    @property
    def context(self) -> int:
        """T + N: the tokens that are predicted."""
        return self.caption_length + math.prod(self.grid_shape)

    @property
    def first_code(self) -> int:
        """The token of code 0."""
        return self.num_text_tokens + self.caption_length

    def begin(self, captions: jax.Array) -> jax.Array:
        """Captions int [B, T], padded with 0, to tokens [B, 1 + T]."""
        padding = self.num_text_tokens + jnp.arange(self.caption_length, dtype=jnp.int32)
        return jnp.pad(jnp.where(captions == 0, padding, captions), ((0, 0), (1, 0)))

    def tokens(self, captions: jax.Array, codes: jax.Array) -> jax.Array:
        """Captions int [B, T] and codes int [B, *grid] to tokens [B, 1 + T + N]."""
        return jnp.concatenate([self.begin(captions), codes.reshape(len(codes), -1) + self.first_code], axis=1)


def dall_e(
    network: nn.Module,
    layout: Layout,
    *,
    tokenizer: Tokenizer,
    prompts: Any,
    optimizer: optax.GradientTransformation,
    caption_in_training: Callable[[jax.Array, Batch], jax.Array] | None = None,
    caption_dropout: float = 0.1,
    guidance: float = 1.0,
    shift: int = 0,
    ema_decay: float | None = None,
    micro_batches: int = 1,
) -> GenerativeModel:
    """log p(caption, codes), on batches with `image` and `caption` int [B, T], padded with 0.

    The loss of an example is 1/8 of the mean of -log p over its caption's tokens, and 7/8 of that over its codes. At
    each place only tokens of its kind are possible. As in the paper each place of a caption has a padding token of its
    own, which is predicted as others are.

    Args:
      network: `network(tokens int [B, T + N], train=...) -> logits [B, T + N, V]` of the token behind each, none of
        which depends on a later one, with what `decoding` lists. With an attribute `dropout` above 0 it
        gets `dropout_keys` [B] where it is trained.
      tokenizer: the first stage, which makes codes [B, *grid] of images and back.
      prompts: int [P, T], whose samples are drawn where nothing else is said.
      caption_in_training: (keys [B], batch) -> the captions that are trained on; None: the batch's `caption`.
      caption_dropout: how often the caption is empty in training, so that guidance has something to compare with.
      guidance: w of classifier-free guidance, l(empty) + w (l(caption) - l(empty)), l the logits of a code; at 1 the
        caption alone, which takes half as long.
      shift: training images are moved by up to this many pixels before they become codes.
      ema_decay: of the moving average of the weights that evaluation and samples use; None: no average.
      micro_batches: as of `one_loss_model`.

    Metrics: `dall_e/loss`; `dall_e/text_nats` and `dall_e/image_nats`, -log p of a token of either kind; `dall_e/nats`,
    of all codes of an image.

    `sample(state, key, num_samples, *, condition=None, guidance=guidance, choice=None)`, of captions [num_samples, T];
    `choice` as of `decoding`.

    `functions`: `captions(num_samples)`, the prompts in turn; `sample_codes(state, key, captions, *, guidance, choice)
    -> [N, *grid]`; `logits(state, captions, codes) -> (of the caption's tokens [B, T, K + T], of the codes [B, N, C])`.
    """

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        tokens = jnp.zeros((len(batch["image"]), layout.context), jnp.int32)
        params, network_state = init_network(network, key, tokens)
        # Copied: the state's buffers are donated, and may not be those of another.
        return params, {"network": network_state, "frozen": jax.tree.map(jnp.copy, tokenizer.load())}

    def logits_of(params: Any, model_state: Any, tokens: jax.Array, **options: Any) -> tuple[jax.Array, jax.Array]:
        """Of tokens [B, T + N], those that can be: [B, T, K + T] and [B, N, C]."""
        logits = network.apply({"params": params, **model_state["network"]}, tokens, **options)
        length, first = layout.caption_length, layout.first_code
        return logits[:, :length, :first], logits[:, length:, first:]

    def loss(params: Any, model_state: Any, batch: Batch, key: Key, *, train: bool) -> LossOutput:
        code_key, caption_key, empty_key, shift_key, dropout_key = jax.random.split(key, 5)
        captions, index, options = batch["caption"], batch["index"], {}
        if train and shift:
            moved = random_shift(batch["image"], example_keys(shift_key, index), shift)
            batch = {**batch, "image": moved}
        if train and caption_in_training is not None:
            captions = caption_in_training(example_keys(caption_key, index), batch)
        if train and caption_dropout:
            captions = jnp.where(example_chances(empty_key, index, caption_dropout)[:, None], 0, captions)
        if train and getattr(network, "dropout", 0.0):
            options["dropout_keys"] = example_keys(dropout_key, index)
        codes = tokenizer.encode(model_state["frozen"], code_key, batch)
        tokens = layout.tokens(captions, codes)
        logits = logits_of(params, model_state, tokens[:, :-1], train=train, **options)
        targets = tokens[:, 1 : layout.caption_length + 1], codes.reshape(len(codes), -1)
        text, image = map(optax.softmax_cross_entropy_with_integer_labels, logits, targets)  # [B, T], [B, N]
        text_nats, image_nats = jnp.mean(text, 1), jnp.mean(image, 1)
        losses = TEXT_WEIGHT * text_nats + (1.0 - TEXT_WEIGHT) * image_nats
        metrics = {"text_nats": text_nats, "image_nats": image_nats, "nats": jnp.sum(image, 1)}
        return LossOutput(losses, metrics, model_state)

    # ------------------------------------------------------------ use

    def logits(state: TrainState, captions: jax.Array, codes: jax.Array) -> tuple[jax.Array, jax.Array]:
        tokens = layout.tokens(captions, codes)[:, :-1]
        return logits_of(averaged_params(state, "dall_e"), state.model_state, tokens, train=False)

    def sample_codes(
        state: TrainState,
        key: Key,
        captions: jax.Array,
        *,
        guidance: float = guidance,
        choice: Choice | None = None,
    ) -> jax.Array:
        number, guided = len(captions), guidance != 1.0
        if guided:  # beside each row one with an empty caption, which takes the same codes
            captions = jnp.concatenate([captions, jnp.zeros_like(captions)])

        def draw(logits: jax.Array, keys: jax.Array, choice: Choice) -> jax.Array:
            logits = logits[:, layout.first_code :]
            if guided:
                own, free = jnp.split(logits, 2)
                logits = free + guidance * (own - free)
            codes = choose(logits, keys[:number], choice) + layout.first_code
            return jnp.tile(codes, len(keys) // number)

        drawing, length = decoder(network, draw), math.prod(layout.grid_shape)
        variables = {"params": averaged_params(state, "dall_e"), **state.model_state["network"]}
        given = layout.begin(captions)
        decoding = drawing.begin(variables, key, given, [given.shape[1]] * len(given), length)
        decoding = drawing.advance(variables, decoding, length, choice or Choice())
        codes = decoding.tokens[:number, given.shape[1] :] - layout.first_code
        return codes.reshape(number, *layout.grid_shape)

    def drawn(state: TrainState, key: Key, num_samples: int, captions: jax.Array, **options: Any) -> jax.Array:
        del num_samples
        return tokenizer.decode(state.model_state["frozen"], sample_codes(state, key, captions, **options))

    captions_of = captions_in_turn(prompts)
    by_condition = sample_by_condition(drawn, captions_of)

    def sample(  # its keywords are what `jaxgen sample` and `jaxgen evaluate` offer
        state: TrainState,
        key: Key,
        num_samples: int,
        *,
        condition: Any = None,
        guidance: float = guidance,
        choice: Choice | None = None,
    ) -> jax.Array:
        return by_condition(state, key, num_samples, condition=condition, guidance=guidance, choice=choice)

    return one_loss_model(
        name="dall_e",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        micro_batches=micro_batches,
        sample=sample,
        functions={"captions": captions_of, "sample_codes": sample_codes, "logits": logits},
    )
