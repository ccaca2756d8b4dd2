"""`discriminator`: a discriminator's accuracies on training, held-out and generated images."""

from collections.abc import Sequence

import jax
import numpy as np

from jaxgen.core.model import draws_classes
from jaxgen.core.types import present
from jaxgen.data.dataset import Dataset, Split, length, prepared, read_examples
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.metrics.adversarial import discriminator_accuracy
from jaxgen.runs.opened_run import Run
from jaxgen.samples.numbered import BLOCK_SIZE, draw_conditions, sample_blocks

DISCRIMINATOR = "discriminator"


def _names(run: Run, data: Dataset, extractor: str) -> list[str]:
    judges = run.model.discriminate is not None and run.model.sample is not None
    return [DISCRIMINATOR] if judges and data.kind == "image" and data.test is not None else []


def _scores(request: Request, names: Sequence[str], ready: None) -> Scores:
    """Return the accuracies on the first `num_samples` training, held-out and generated images."""
    model, state, data, count = request.run.model, request.state, request.data, request.num_samples
    discriminate = jax.jit(lambda images, *condition: present(model.discriminate)(state, images, *condition))
    conditional = draws_classes(model)

    def of_real(split: Split) -> np.ndarray:
        logits = []
        for start in range(0, min(count, length(split)), BLOCK_SIZE):
            batch = prepared(data, read_examples(split, start, min(start + BLOCK_SIZE, count)))
            logits.append(discriminate(batch["image"], *([batch["label"]] if conditional else [])))
        return np.concatenate(logits)

    blocks = -(-count // BLOCK_SIZE)
    labels = draw_conditions(model, blocks * BLOCK_SIZE)
    block = sample_blocks(model, state, request.seed, labels)
    of_block = [()] * blocks if labels is None else labels.reshape(blocks, 1, BLOCK_SIZE)
    generated = np.concatenate([discriminate(block(i), *of_block[i]) for i in range(blocks)])[:count]
    accuracy = discriminator_accuracy(of_real(data.train), of_real(present(data.test)), generated)
    return Scores({f"{DISCRIMINATOR}/{name}": float(value) for name, value in accuracy._asdict().items()})


METRIC = RunMetric(_names, _scores)
