"""The options of AdamW as sequence networks are trained by it, and how they become an optimizer."""

from dataclasses import dataclass

import jax
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, CountFromZero, NonNegativeFloat, PositiveFloat, Rate
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class AdamWConfig(TrainConfig):
    """Options of AdamW with a warm-up, a cosine and a largest norm of gradients."""

    learning_rate: NonNegativeFloat = 1e-3
    """Peak learning rate, reached after the warm-up."""
    min_learning_rate: NonNegativeFloat = 1e-4
    """Learning rate at the end of the cosine decay."""
    warmup_steps: CountFromZero = 100
    """Steps over which the learning rate rises linearly from 0."""
    weight_decay: NonNegativeFloat = 0.1
    """AdamW's weight decay, of matrices only: not of biases and norms."""
    beta1: Rate = 0.9
    """AdamW's decay of the first moment."""
    beta2: Rate = 0.99
    """AdamW's decay of the second moment."""
    clip_norm: PositiveFloat | None = 1.0
    """Gradients of a larger norm are cut to it. None: never."""
    micro_batches: Count = 1
    """In how many parts each device takes its examples, one after another, to need less memory. The result is that of
    the whole batch."""


def optimizer_of(config: AdamWConfig) -> optax.GradientTransformation:
    """AdamW with a warm-up, a cosine and a largest norm of gradients, as GPTs are trained.

    Raises:
      UserError: a batch that cannot be cut into so many parts.
    """
    if config.batch_size % config.micro_batches:
        raise UserError(
            f"--batch-size {config.batch_size} cannot be cut into --micro-batches {config.micro_batches}: make it a "
            "multiple."
        )
    adam = optax.adamw(
        schedule_of(config),
        config.beta1,
        config.beta2,
        weight_decay=config.weight_decay,
        mask=lambda params: jax.tree.map(lambda x: x.ndim > 1, params),
    )
    return adam if config.clip_norm is None else optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def schedule_of(config: AdamWConfig) -> optax.Schedule:
    """The learning rate by steps taken."""
    return optax.warmup_cosine_decay_schedule(
        0.0 if config.warmup_steps else config.learning_rate,
        config.learning_rate,
        config.warmup_steps,
        max(config.steps, config.warmup_steps + 1),
        config.min_learning_rate,
    )
