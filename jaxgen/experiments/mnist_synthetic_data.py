"""Whether generated digits help a classifier that has few real ones (Antoniou et al. 2017, arXiv:1711.04340).

    python -m jaxgen.experiments.mnist_synthetic_data

For k = 10, 100 and 1,000 real digits of each class, and three seeds, the study trains a class-conditional GAN on those
digits alone, and then the classifier on each of

    real            the real digits
    augmented       the real digits, shifted, turned and scaled at random
    real+generated  half real digits, half digits of that GAN
    generated       digits of that GAN alone

The classifier is always trained for the same number of steps, and tested on the 10,000 test digits. Each is a run of
mnist_conditional_gan or mnist_classifier in its own folder; --resume resumes a study that was stopped.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
from rich.table import Table

from jaxgen.core.options import Count, Length
from jaxgen.core.terminal import console
from jaxgen.data.npz_file import save_arrays
from jaxgen.experiments import mnist_classifier, mnist_conditional_gan
from jaxgen.experiments._study import StudyOptions, mean_and_spread, run_study, train_missing
from jaxgen.runs.experiment import Study
from jaxgen.runs.opened_run import open_run, restore_run
from jaxgen.samples.numbered import generated_examples
from jaxgen.training import run_folder

VARIANTS = ("real", "augmented", "real+generated", "generated")
ACCURACY = "eval/classifier/accuracy"

STUDY = Study(
    file=__file__,
    family="classification",
    summary="classifier on real and generated digits",
    data="MNIST",
    expected_time="2 h on 1 CPU core",
)


@dataclass(frozen=True)
class Options(StudyOptions):
    """Options of mnist_synthetic_data."""

    per_class: Annotated[tuple[Count, ...], Length(1, 1_000)] = (10, 100, 1_000)
    """Numbers of real digits of each class."""
    generator_steps: Count = 6_000
    """Number of training steps of each class-conditional GAN."""
    classifier_steps: Count = 500
    """Number of training steps of each classifier."""
    num_generated: Count = 10_000
    """Number of digits that each GAN generates."""


class Result(NamedTuple):
    """The result of one trained classifier."""

    per_class: int
    seed: int
    variant: str
    last: float
    """Accuracy on the test digits after the last step."""
    best: float
    """The best accuracy of all evaluations."""


def main() -> None:
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the study and return the exit code."""
    settings = ("generator_steps", "classifier_steps", "num_generated")
    return run_study(STUDY, Options, arguments, __doc__, study, show, settings=settings)


def study(options: Options, folder: Path) -> Iterator[Result]:
    """Train the runs that are missing, and yield the result of each classifier."""
    for per_class in options.per_class:
        for seed in options.seeds:
            here = folder / f"k{per_class:04d}_seed{seed}"
            common = {"seed": seed, "per_class": per_class, "devices": options.devices}
            steps = options.generator_steps
            generator = mnist_conditional_gan.DEFAULT.replace(
                steps=steps, eval_every=0, sample_every=steps // 4, checkpoint_every=steps // 4, **common
            )
            train_missing(mnist_conditional_gan.EXPERIMENT, generator, here / "generator")
            generated = here / "generated.npz"
            if not generated.is_file():
                _generate(here / "generator", options.num_generated, seed, generated)
            steps = options.classifier_steps
            common |= {"steps": steps, "decay_steps": steps, "eval_every": max(1, steps // 5), "checkpoint_every": 0}
            for variant in VARIANTS:
                config = mnist_classifier.DEFAULT.replace(shift=0, **common)
                if variant == "augmented":
                    config = mnist_classifier.DEFAULT.replace(shift=2, degrees=15.0, scale=0.1, **common)
                elif "generated" in variant:
                    only = variant == "generated"
                    config = mnist_classifier.DEFAULT.replace(
                        shift=0, generated=generated, only_generated=only, **common
                    )
                where = here / variant.replace("+", "_and_")
                train_missing(mnist_classifier.EXPERIMENT, config, where)
                values = [line[ACCURACY] for line in run_folder.read_metrics(where) if ACCURACY in line]
                yield Result(per_class, seed, variant, values[-1], max(values))


def _generate(run_dir: Path, num: int, seed: int, out: Path) -> None:
    """Write the file of `jaxgen augment RUN --num N --seed SEED --out OUT`."""
    opened = open_run(run_dir)
    with out.open("wb") as file:
        save_arrays(file, generated_examples(opened.model, restore_run(opened), num=num, seed=seed))
    jax.clear_caches()  # since dozens of models follow one another


def show(results: Sequence[Result], folder: Path) -> None:
    """Print mean and standard deviation over the seeds, of the last and of the best evaluation, and write the plot."""
    table = Table("digits of each class", *VARIANTS, box=None, pad_edge=False)
    for per_class in sorted({r.per_class for r in results}):
        cells = []
        for variant in VARIANTS:
            chosen = [r for r in results if (r.per_class, r.variant) == (per_class, variant)]
            last, best = ([100 * getattr(r, name) for r in chosen] for name in ("last", "best"))
            cells.append(f"{mean_and_spread(last)} (best {statistics.mean(best):.2f})")
        table.add_row(str(per_class), *cells)
    terminal = console()
    terminal.print("\nAccuracy on the 10,000 test digits in %, last (and best) evaluation:")
    terminal.print(table)
    plot(results, folder / "accuracy.png")
    print(f"\n{folder / 'accuracy.png'}")


def plot(results: Sequence[Result], path: Path) -> None:
    """Plot the accuracy over the number of real digits, with a curve for each variant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    numbers = sorted({r.per_class for r in results})
    for variant in VARIANTS:
        values = [[100 * r.last for r in results if (r.per_class, r.variant) == (n, variant)] for n in numbers]
        means = [statistics.mean(v) for v in values]
        spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
        axis.errorbar(numbers, means, spreads, label=variant, marker=".", capsize=3, linewidth=1.2)
    axis.set_xscale("log")
    axis.set_xlabel("real digits of each class")
    axis.set_ylabel("test accuracy in %")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
