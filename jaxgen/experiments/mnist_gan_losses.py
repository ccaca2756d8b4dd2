"""Adversarial losses, penalties and augmentations side by side: a narrow DCGAN on MNIST, one thing changed at a time.

    python -m jaxgen.experiments.mnist_gan_losses

The study trains each variant for 5,000 steps with three seeds, and prints the Frechet distance of 2,000 samples in the
features of mnist_classifier, after the last step and at best, with the time. Each is a run of mnist_dcgan in its own
folder; --resume resumes a study that was stopped.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from rich.table import Table

from jaxgen.core.options import Count, Length, OneOf
from jaxgen.core.terminal import console
from jaxgen.experiments import mnist_dcgan
from jaxgen.experiments._study import StudyOptions, mean_and_spread, run_study, train_missing
from jaxgen.runs.experiment import Study
from jaxgen.training import run_folder

FID = "eval/fid"
SPEED = "speed/examples_per_second"

STUDY = Study(
    file=__file__,
    family="GAN",
    summary="GAN losses and regularizers side by side",
    data="MNIST",
    expected_time="2 to 11 min on 1 CPU core for each of 66 runs",
)

NARROW: dict[str, Any] = {
    "generator_width": 16,
    "discriminator_widths": (16, 32, 64),
    "discriminator_hidden_width": 128,
    "generator_learning_rate": 1e-3,
    "discriminator_learning_rate": 4e-4,
    "penalties": None,
    "penalty_weight": 1.0,
    "clip_norm": None,
}
"""Values of all variants, besides mnist_dcgan's defaults."""

_WASSERSTEIN = {"loss": "wasserstein", "penalties": "gradient_penalty", "penalty_weight": 10.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "non_saturating": {},
    "minimax": {"loss": "minimax"},
    "least_squares": {"loss": "least_squares"},
    "hinge": {"loss": "hinge"},
    "relativistic_average": {"loss": "relativistic_average"},
    "wasserstein": {"loss": "wasserstein"},
    "wasserstein, gradient_penalty": _WASSERSTEIN,
    "wasserstein, gradient_penalty, 5 to 1": {**_WASSERSTEIN, "discriminator_steps": 5, "beta1": 0.0, "beta2": 0.9},
    "r1": {"penalties": "r1"},
    "r1, every 16": {"penalties": "r1", "penalty_every": 16},
    "r1_estimate": {"penalties": "r1_estimate"},
    "r2": {"penalties": "r2"},
    "r1 and r2": {"penalties": "r1,r2"},
    "relativistic_average, r1 and r2": {"loss": "relativistic_average", "penalties": "r1,r2"},
    "gradient_penalty": {"penalties": "gradient_penalty", "penalty_weight": 10.0},
    "dragan": {"penalties": "dragan", "penalty_weight": 10.0},
    "spectral norm": {"discriminator_spectral_norm": True},
    "hinge, spectral norm": {"loss": "hinge", "discriminator_spectral_norm": True},
    "wasserstein, spectral norm": {"loss": "wasserstein", "discriminator_spectral_norm": True},
    "consistency": {"penalties": "consistency", "penalty_weight": 10.0},
    "DiffAugment": {"augmentation": "translation,cutout"},
    "ADA": {"augmentation": "ada"},
}
"""Values of each variant; the loss is non_saturating if none is named."""


@dataclass(frozen=True)
class Options(StudyOptions):
    """Options of mnist_gan_losses."""

    steps: Count = 5_000
    """Number of training steps of each GAN."""
    only: Annotated[tuple[Annotated[str, OneOf(tuple(VARIANTS))], ...], Length(1, len(VARIANTS))] = tuple(VARIANTS)
    """Variants to train."""


class Result(NamedTuple):
    """The result of one trained GAN."""

    variant: str
    seed: int
    last: float
    """Frechet distance after the last step."""
    best: float
    """The best Frechet distance of all evaluations."""
    examples_per_second: float
    """Median over the run."""


def main() -> None:
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the study and return the exit code."""
    settings = ("steps",)
    return run_study(STUDY, Options, arguments, __doc__, study, show, settings=settings)


def study(options: Options, folder: Path) -> Iterator[Result]:
    """Train the runs that are missing, and yield the result of each."""
    every = max(1, options.steps // 5)
    for variant in options.only:
        for seed in options.seeds:
            config = mnist_dcgan.DEFAULT.replace(
                seed=seed,
                steps=options.steps,
                devices=options.devices,
                eval_every=every,
                sample_every=every,
                checkpoint_every=every,
                **(NARROW | VARIANTS[variant]),
            )
            where = folder / f"{variant.replace(', ', '_').replace(' ', '_')}_seed{seed}"
            train_missing(mnist_dcgan.EXPERIMENT, config, where)
            lines = run_folder.read_metrics(where)
            values = [line[FID] for line in lines if FID in line]
            speeds = [line[SPEED] for line in lines if SPEED in line]
            speed = statistics.median(speeds) if speeds else 0.0
            yield Result(variant, seed, values[-1], min(values), speed)


def show(results: Sequence[Result], folder: Path) -> None:
    """Print mean and standard deviation over the seeds."""
    del folder
    table = Table("", "FID, last", "FID, best", "images per second", box=None, pad_edge=False)
    for variant in dict.fromkeys(r.variant for r in results):
        chosen = [r for r in results if r.variant == variant]
        cells = [mean_and_spread([getattr(r, name) for r in chosen]) for name in ("last", "best")]
        table.add_row(variant, *cells, f"{statistics.mean(r.examples_per_second for r in chosen):,.0f}")
    terminal = console()
    terminal.print(f"\nFrechet distance of 2,000 samples, over {len({r.seed for r in results})} seed(s):")
    terminal.print(table)


if __name__ == "__main__":
    main()
