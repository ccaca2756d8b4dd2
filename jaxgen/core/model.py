"""The contract: a generative model is four pure functions, and a few typed capabilities.

What a model can do beyond training and sampling is said by its capabilities, each a small tuple of pure functions, or
None where it cannot. Commands, sheets, scores and summaries ask those, and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Literal, NamedTuple, TypeAlias

import flax.linen as nn
import numpy as np

from jaxgen.core.state import TrainState
from jaxgen.core.types import Array, Batch, ConditionValue, Key, Metrics, Params

Sample: TypeAlias = Callable[Concatenate[TrainState, Key, int, ...], Array]
"""Draw samples: (state, key, num_samples, *, condition=None, **options) -> samples [num_samples, ...].

`condition` is what each sample is of; None: that of `Condition.of_samples`. The options are the model's own.
"""


class Latents(NamedTuple):
    """Vectors that examples are made of. `condition` is the labels [N], or nothing where a model has no classes."""

    prior: Callable[[Key, int], Array]
    """(key, num_samples) -> latents [N, L]; latent i is the same, however many are drawn."""
    decode: Callable[..., Array]
    """(state, latents [N, L], *condition) -> examples [N, ...]."""
    encode: Callable[..., Array] | None = None
    """(state, examples, *condition) -> latents [N, L]; None: the model only decodes."""
    reconstruct: Callable[..., Array] | None = None
    """(state, examples, *condition) -> examples."""
    posterior: Callable[..., tuple[Array, Array]] | None = None
    """(state, examples, *condition) -> (mean, log variance) [N, L] of q(z | x)."""
    code_dimensions: tuple[int, ...] = ()
    """Which numbers of the latents were trained to mean something (InfoGAN's continuous codes)."""


class Codes(NamedTuple):
    """Grids of discrete codes, of a first stage. Images are binary where the likelihood is."""

    prior: Callable[[Key, int], Array]
    """(key, num_samples) -> codes int32 [N, h, w], uniform."""
    encode: Callable[[TrainState, Array], Array]
    """(state, images) -> codes int32 [N, h, w], the likeliest."""
    decode: Callable[[TrainState, Array], Array]
    """(state, codes) -> images."""
    reconstruct: Callable[[TrainState, Array], Array]
    """(state, images) -> images."""
    draw: Callable[[TrainState, Key, Batch], Array]
    """(state, key, batch) -> codes int32 [N, h, w] of the images that the likelihood draws of the batch's."""


class Condition(NamedTuple):
    """What samples are of."""

    kind: Literal["class", "caption", "speech"]
    of_samples: Callable[[int], ConditionValue]
    """num_samples -> the condition of so many samples where none is given: every class, caption or sentence in turn."""


class Likelihood(NamedTuple):
    """What a model says of the probability of examples, in nats."""

    log_likelihood: Callable[[TrainState, Key, Batch, int], Array] | None = None
    """(state, key, batch, num_samples) -> [B]: log p(x), estimated with so many samples an example."""
    log_weights: Callable[[TrainState, Key, Batch], Array] | None = None
    """(state, key, batch) -> [B]: log p(x, z) - log q(z | x) of one z for each example."""
    log_prob: Callable[..., Array] | None = None
    """(state, tokens, *condition) -> [B]: log p(x), exactly."""
    bits_per_dimension: Callable[[Any], Any] | None = None
    """nats -> bits per dimension, of one such value."""


class Tokens(NamedTuple):
    """Sequences drawn token by token, and gone on with."""

    begin: Callable[..., Any]
    """(state, key, prompts [B, P], lengths [B], num_tokens, *condition) -> the state of decoding."""
    advance: Callable[..., Any]
    """(state, decoding, count, choice=None) -> the state of decoding, `count` tokens later."""
    first_token: int
    """What samples without a prompt follow."""
    logits: Callable[..., Array] | None = None
    """(state, tokens [B, T], *condition) -> next-token logits [B, T, K]."""
    network: nn.Module | None = None
    """The network, where it alone makes the logits."""
    network_params: Callable[[TrainState], Params] | None = None
    """state -> the network's parameters, with adapters added."""


class ImageMapping(NamedTuple):
    """Images made from images."""

    verb: Literal["restore", "translate", "stylize"]
    """Which command does it."""
    apply: Callable[[TrainState, Array], Array]
    """(state, images) -> images; of restoration from what is left of images."""
    compare: Callable[[TrainState, Key, Batch], Array]
    """(state, key, batch) -> [B, K, H, W, C]: what a run shows side by side."""
    back: Callable[[TrainState, Array], Array] | None = None
    """(state, images) -> images, the other way."""
    baseline: Callable[[Array], Array] | None = None
    """images -> images, without the network."""
    degrade: Callable[[Key, Array], Array] | None = None
    """(key, images) -> what is left of them."""
    take: Callable[[Array, Array], Array] | None = None
    """(images, known [B, H, W, 1]) -> what is left of images that came degraded."""


class Embeddings(NamedTuple):
    """Vectors of length 1 of images and texts, near each other where they belong together."""

    images: Callable[[TrainState, Array], Array]
    """(state, images) -> [B, E]."""
    captions: Callable[[TrainState, Array], Array]
    """(state, captions int [B, T]) -> [B, E]."""


class Denoising(NamedTuple):
    """What a diffusion model does at one noise level, and to parts of images."""

    denoise: Callable[..., Array]
    """(state, images, noise_levels [B], *condition) -> images."""
    inpaint: Callable[..., Array]
    """(state, key, images, mask [B, H, W, 1], *condition, repeats, **options of sample) -> images, drawn where the
    mask is 0."""


class Styles(NamedTuple):
    """The styles of a StyleGAN2, one for each of its layers."""

    of_latents: Callable[..., Array]
    """(state, latents, *condition, truncation=1) -> styles [B, N, S]."""
    synthesize: Callable[..., Array]
    """(state, styles, noise=None) -> images, not cut to [-1, 1]."""
    average: Callable[[TrainState], Array]
    """state -> the average style [S] (w_avg)."""
    fixed_noise: Callable[[], Sequence[Array]]
    """() -> the noise images, always the same."""


class Speech(NamedTuple):
    """Samples that say something."""

    say: Callable[[Sequence[str]], ConditionValue]
    """texts -> the condition of samples that say them."""
    sample_lengths: Callable[[int], np.ndarray]
    """num_samples -> how many numbers of each sample are the sound."""


class GenerativeModel(NamedTuple):
    """Four pure functions, and what else a model can do (None: it cannot).

    Every batch holds `index` [B], each example's number within the global batch of its step: noise is drawn from
    `fold_in(key, index)`, so that it does not depend on how many devices share the batch.
    """

    init: Callable[[Key, Batch], TrainState]
    """(key, batch) -> state; the batch gives shapes only."""
    train_step: Callable[[TrainState, Batch, Key], tuple[TrainState, Metrics]]
    """(state, batch, key) -> (state, metrics); raises `state.step` by one. Written for one device: what is averaged
    over devices says so (`jaxgen.core.reductions`)."""
    eval_step: Callable[[TrainState, Batch, Key], Metrics]
    """(state, batch, key) -> metrics of held-out examples."""
    sample: Sample | None = None
    """None: the model generates nothing by itself (a classifier, a translation)."""
    latents: Latents | None = None
    codes: Codes | None = None
    condition: Condition | None = None
    likelihood: Likelihood | None = None
    tokens: Tokens | None = None
    mapping: ImageMapping | None = None
    discriminate: Callable[..., Array] | None = None
    """(state, images, *condition) -> logits [B] of a discriminator."""
    classify: Callable[[TrainState, Array], Array] | None = None
    """(state, images) -> logits [B, K]."""
    embeddings: Embeddings | None = None
    denoising: Denoising | None = None
    styles: Styles | None = None
    speech: Speech | None = None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The names of what the model can do besides being trained, such as ("sample", "latents", "condition")."""
        return tuple(name for name in self._fields[3:] if getattr(self, name) is not None)

    def __repr__(self) -> str:
        return f"GenerativeModel({', '.join(self.capabilities)})"


class ModelSpec(ABC):
    """What a model is made of: networks, losses, optimizers, sizes; frozen, static and hashable, without arrays."""

    @abstractmethod
    def model(self) -> GenerativeModel:
        """Bind the module-level functions of its principle to this spec."""


def as_model(model: GenerativeModel | ModelSpec) -> GenerativeModel:
    """Return the model of a spec, or the model itself."""
    return model.model() if isinstance(model, ModelSpec) else model


def capabilities(model: GenerativeModel) -> list[str]:
    """Return the names of what a model can do besides training."""
    return [name for name in model._fields[3:] if getattr(model, name) is not None]


def draws_captions(model: GenerativeModel) -> bool:
    """Whether samples are of captions."""
    return model.condition is not None and model.condition.kind == "caption"


def draws_classes(model: GenerativeModel) -> bool:
    """Whether samples are of classes."""
    return model.condition is not None and model.condition.kind == "class"
