"""`jaxgen judge RUN --classifier RUN`: what a trained classifier makes of a run's samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from jaxgen.commands._options import function_of, in_batches, parse
from jaxgen.commands.sample import draw_samples
from jaxgen.errors import UserError
from jaxgen.experiment import open_run, restore_run
from jaxgen.metrics.class_shares import class_shares
from jaxgen.training import run_folder


@dataclass(frozen=True)
class Options:
    """Lets a classifier (a run of mnist_classifier) judge the samples of a run, and writes judgement.json there."""

    run: tyro.conf.Positional[Path]
    """The folder of the run that is judged."""
    classifier: Path
    """The folder of the classifier's run."""
    num: int = 10_000
    """How many samples."""
    seed: int = 0
    """Seed of the samples."""
    threshold: float = 0.9
    """A sample counts as plain if the classifier gives its class more than this."""
    step: int | None = None
    """The run's checkpoint to use. None: the latest."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "judge", arguments)
    if options.num < 1:
        raise UserError(f"--num must be at least 1, not {options.num}.")
    run, judge = open_run(options.run), open_run(options.classifier)
    classify = function_of(judge, "classify")
    state, judge_state = restore_run(run, options.step), restore_run(judge)
    if run.record["assets"].get("image_shape") != judge.record["assets"].get("image_shape"):
        raise UserError(
            f"{options.run} and {options.classifier} have images of different shapes: name another classifier."
        )
    samples = draw_samples(run, state, num=options.num, seed=options.seed)
    shares = class_shares(
        in_batches(lambda images: classify(judge_state, images), samples), threshold=options.threshold
    )
    names = judge.record["assets"].get("class_names") or [str(k) for k in range(len(shares.classes))]
    table = Table("class", "share", box=None, pad_edge=False)
    for name, share in zip(names, shares.classes, strict=True):
        table.add_row(name, f"{share:.2%}")
    console = Console()
    console.print(table)
    console.print(
        f"{options.num} samples at step {int(state.step)}: {shares.confident:.2%} with confidence above "
        f"{options.threshold}, mean confidence {shares.mean_confidence:.4f}, rarest class {shares.classes.min():.2%}, "
        f"entropy {shares.entropy:.4f} of at most {np.log(len(names)):.4f} nats",
        highlight=False,
    )
    run_folder.write_json(
        options.run / run_folder.JUDGEMENT,
        {
            "step": int(state.step),
            "samples": options.num,
            "seed": options.seed,
            "classifier": {"run": str(options.classifier), "step": int(judge_state.step)},
            "threshold": options.threshold,
            "confident": shares.confident,
            "mean_confidence": shares.mean_confidence,
            "classes": dict(zip(names, shares.classes.tolist(), strict=True)),
            "entropy": shares.entropy,
        },
    )
