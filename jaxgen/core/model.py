"""The contract of models: a generative model is four pure functions and a few typed capabilities.

A model declares what it can do beyond training and sampling by its capabilities, each a small tuple of pure functions,
or None if the model lacks it. Commands, sheets, scores and summaries query only these.
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

`condition` is the condition of each sample; None: that of `Condition.of_samples`. The options are the model's own."""


class Latents(NamedTuple):
    """Latent vectors of examples. `condition` is the labels [N], or absent if a model has no classes."""

    prior: Callable[[Key, int], Array]
    """(key, num_samples) -> latents [N, L]; latent i is the same however many are drawn."""
    decode: Callable[..., Array]
    """(state, latents [N, L], *condition) -> examples [N, ...]."""
    encode: Callable[..., Array] | None = None
    """(state, examples, *condition) -> latents [N, L]; None: the model only decodes."""
    reconstruct: Callable[..., Array] | None = None
    """(state, examples, *condition) -> examples."""
    posterior: Callable[..., tuple[Array, Array]] | None = None
    """(state, examples, *condition) -> (mean, log variance) [N, L] of q(z | x)."""
    code_dimensions: tuple[int, ...] = ()
    """Dimensions of the latents that were trained to be meaningful (InfoGAN's continuous codes)."""


class Codes(NamedTuple):
    """Grids of discrete codes of a first stage. Images are binary if the likelihood is."""

    prior: Callable[[Key, int], Array]
    """(key, num_samples) -> codes int32 [N, h, w], uniform."""
    encode: Callable[[TrainState, Array], Array]
    """(state, images) -> codes int32 [N, h, w], the most likely ones."""
    decode: Callable[[TrainState, Array], Array]
    """(state, codes) -> images."""
    reconstruct: Callable[[TrainState, Array], Array]
    """(state, images) -> images."""
    draw: Callable[[TrainState, Key, Batch], Array]
    """(state, key, batch) -> codes int32 [N, h, w] of images drawn by the likelihood from the batch's."""


class Condition(NamedTuple):
    """The condition of samples."""

    kind: Literal["class", "caption", "speech"]
    of_samples: Callable[[int], ConditionValue]
    """num_samples -> the default condition of that many samples: every class, caption or sentence in turn."""


class Likelihood(NamedTuple):
    """Probabilities of examples under a model, in nats."""

    log_likelihood: Callable[[TrainState, Key, Batch, int], Array] | None = None
    """(state, key, batch, num_samples) -> [B]: log p(x), estimated with num_samples samples for each example."""
    log_weights: Callable[[TrainState, Key, Batch], Array] | None = None
    """(state, key, batch) -> [B]: log p(x, z) - log q(z | x) for one z of each example."""
    log_prob: Callable[..., Array] | None = None
    """(state, tokens, *condition) -> [B]: log p(x), exactly."""
    bits_per_dimension: Callable[[Any], Any] | None = None
    """Nats of log p(x) -> bits per dimension, for one value."""


class Tokens(NamedTuple):
    """Sequences drawn token by token, and continued."""

    begin: Callable[..., Any]
    """(state, key, prompts [B, P], lengths [B], num_tokens, *condition) -> the decoding state."""
    advance: Callable[..., Any]
    """(state, decoding, count, choice=None) -> the decoding state `count` tokens later."""
    first_token: int
    """Token that precedes samples without a prompt."""
    logits: Callable[..., Array] | None = None
    """(state, tokens [B, T], *condition) -> next-token logits [B, T, K]."""
    network: nn.Module | None = None
    """The network, if the logits depend on nothing else."""
    network_params: Callable[[TrainState], Params] | None = None
    """state -> the network's parameters, with adapters added."""


class ImageMapping(NamedTuple):
    """Images made from images."""

    verb: Literal["restore", "translate", "stylize"]
    """Command that applies it."""
    apply: Callable[[TrainState, Array], Array]
    """(state, images) -> images; for restoration the inputs are degraded images."""
    compare: Callable[[TrainState, Key, Batch], Array]
    """(state, key, batch) -> [B, K, H, W, C]: images that a run shows side by side."""
    back: Callable[[TrainState, Array], Array] | None = None
    """(state, images) -> images, in the opposite direction."""
    baseline: Callable[[Array], Array] | None = None
    """images -> images, without the network."""
    degrade: Callable[[Key, Array], Array] | None = None
    """(key, images) -> degraded images."""
    take: Callable[[Array, Array], Array] | None = None
    """(images, known [B, H, W, 1]) -> degraded images, for images that were degraded before."""


class Embeddings(NamedTuple):
    """Unit vectors of images and texts, close to each other for an image and its text."""

    images: Callable[[TrainState, Array], Array]
    """(state, images) -> [B, E]."""
    captions: Callable[[TrainState, Array], Array]
    """(state, captions int [B, T]) -> [B, E]."""


class Denoising(NamedTuple):
    """Denoising by a diffusion model at one noise level, and inpainting."""

    denoise: Callable[..., Array]
    """(state, images, noise_levels [B], *condition) -> images."""
    inpaint: Callable[..., Array]
    """(state, key, images, mask [B, H, W, 1], *condition, repeats, **options of sample) -> images, drawn where the mask
    is 0."""


class Styles(NamedTuple):
    """The styles of a StyleGAN2, one for each of its layers."""

    of_latents: Callable[..., Array]
    """(state, latents, *condition, truncation=1) -> styles [B, N, S]."""
    synthesize: Callable[..., Array]
    """(state, styles, noise=None) -> images, not clipped to [-1, 1]."""
    average: Callable[[TrainState], Array]
    """state -> the average style [S] (w_avg)."""
    fixed_noise: Callable[[], Sequence[Array]]
    """() -> the noise images, always the same."""


class Speech(NamedTuple):
    """Samples of speech."""

    say: Callable[[Sequence[str]], ConditionValue]
    """texts -> the condition of samples that say them."""
    sample_lengths: Callable[[int], np.ndarray]
    """num_samples -> how many numbers of each sample are sound."""


class GenerativeModel(NamedTuple):
    """Four pure functions, and the further capabilities of a model (None: it lacks one).

    Every batch holds `index` [B], each example's number within the global batch of its step: noise is drawn from
    `fold_in(key, index)`, so that it does not depend on how many devices share the batch.
    """

    init: Callable[[Key, Batch], TrainState]
    """(key, batch) -> state; only the shapes of the batch are used."""
    train_step: Callable[[TrainState, Batch, Key], tuple[TrainState, Metrics]]
    """(state, batch, key) -> (state, metrics); increments `state.step`. It is written for one device, with explicit
    reductions over devices (`jaxgen.core.reductions`)."""
    eval_step: Callable[[TrainState, Batch, Key], Metrics]
    """(state, batch, key) -> metrics of held-out examples."""
    sample: Sample | None = None
    """None: the model does not generate samples by itself (a classifier, a translation)."""
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
        """Names of the capabilities that the model has, such as ("sample", "latents", "condition")."""
        return tuple(name for name in self._fields[3:] if getattr(self, name) is not None)

    def __repr__(self) -> str:
        return f"GenerativeModel({', '.join(self.capabilities)})"


class ModelSpec(ABC):
    """The parts of a model: networks, losses, optimizers, sizes; frozen, static and hashable, without arrays."""

    @abstractmethod
    def model(self) -> GenerativeModel:
        """Bind the module-level functions of the principle to this spec."""


def as_model(model: GenerativeModel | ModelSpec) -> GenerativeModel:
    """Return the model of a spec, or the model itself.

    Raises:
      TypeError: it is neither.
    """
    if isinstance(model, ModelSpec):
        return model.model()
    if not isinstance(model, GenerativeModel):
        raise TypeError(
            f"a model must be a spec, such as jaxgen.models.GAN(...), or a GenerativeModel, not {model!r:.80}"
        )
    return model


def capabilities(model: GenerativeModel) -> list[str]:
    """Return the names of a model's capabilities besides training."""
    return [name for name in model._fields[3:] if getattr(model, name) is not None]


def draws_captions(model: GenerativeModel) -> bool:
    """Return whether samples are conditioned on captions."""
    return model.condition is not None and model.condition.kind == "caption"


def draws_classes(model: GenerativeModel) -> bool:
    """Return whether samples are conditioned on classes."""
    return model.condition is not None and model.condition.kind == "class"
