"""Options of AdamW, shared by experiments, and the optimizer built from them."""

from dataclasses import dataclass

import jax
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, CountFromZero, NonNegativeFloat, PositiveFloat, Rate
from jaxgen.experiments._averages import AverageOptions
from jaxgen.training.config import RunOptions


@dataclass(frozen=True)
class AdamWOptions:
    """AdamW with a warm-up, a cosine decay of the learning rate, and a maximum norm of gradients."""

    learning_rate: NonNegativeFloat = 1e-3
    """Peak learning rate, reached after the warm-up."""
    min_learning_rate: NonNegativeFloat = 1e-4
    """Learning rate at the end of the cosine decay."""
    warmup_steps: CountFromZero = 100
    """Number of steps over which the learning rate rises linearly from 0."""
    weight_decay: NonNegativeFloat = 0.1
    """AdamW's weight decay, which applies to matrices but not to biases and norms."""
    beta1: Rate = 0.9
    """AdamW's decay of the first moment."""
    beta2: Rate = 0.99
    """AdamW's decay of the second moment."""
    clip_norm: PositiveFloat | None = 1.0
    """Maximum global norm of the gradient; longer ones are scaled down. None: no limit."""
    micro_batches: Count = 1
    """Number of parts in which each device's examples are taken, one after another, to need less memory; the result is
    that of the whole batch."""


@dataclass(frozen=True)
class AveragedAdamWOptions(AverageOptions, AdamWOptions):
    """AdamW with a warm-up, a cosine decay of the learning rate, a maximum norm of gradients, and an average."""


def optimizer_of(options: AdamWOptions, run: RunOptions) -> optax.GradientTransformation:
    """Return AdamW with a warm-up, a cosine decay and a maximum norm of gradients, as GPTs are trained.

    Raises:
      UserError: the batch cannot be divided into --micro-batches parts.
    """
    if run.batch_size % options.micro_batches:
        raise UserError(
            f"--batch-size {run.batch_size} cannot be cut into --micro-batches {options.micro_batches}: make it a "
            "multiple."
        )
    adam = optax.adamw(
        schedule_of(options, run),
        options.beta1,
        options.beta2,
        weight_decay=options.weight_decay,
        mask=lambda params: jax.tree.map(lambda x: x.ndim > 1, params),
    )
    return adam if options.clip_norm is None else optax.chain(optax.clip_by_global_norm(options.clip_norm), adam)


def schedule_of(options: AdamWOptions, run: RunOptions) -> optax.Schedule:
    """Return the learning rate as a function of the step; the cosine ends at the run's last step."""
    return optax.warmup_cosine_decay_schedule(
        0.0 if options.warmup_steps else options.learning_rate,
        options.learning_rate,
        options.warmup_steps,
        max(run.steps, options.warmup_steps + 1),
        options.min_learning_rate,
    )
