"""Seconds per score of 10,000 real and 10,000 generated samples, jaxgen beside torch-fidelity and prdc.

    pip install -e '.[bench]'
    python benchmarks/metrics.py --json results.json

Both sides get the same features, ready in memory, and their values are printed beside each other. See README.md.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from common import chosen, machine

import jaxgen.metrics as metrics

SEED = 2020  # of the subsets of the kernel distance; torch-fidelity's own
MANIFOLD_NEIGHBORS = 5  # prdc has one k for precision, recall, density and coverage


class Score(NamedTuple):
    """A score in both libraries: functions of (real [N, F], generated [N, F]) -> its values."""

    jaxgen: Callable[[np.ndarray, np.ndarray], list[float]]
    peer: Callable[[np.ndarray, np.ndarray], list[float]]
    library: str


@dataclasses.dataclass(frozen=True)
class Config:
    """Measure how long scores of features take beside other libraries."""

    only: str = ""  # names of scores, with commas between them; all where empty
    num: int = 10_000  # real and generated samples, each
    features: int = 2048  # of each sample
    repeats: int = 3  # how often each is measured, in turn
    json: Path | None = None  # file for the results


def main() -> None:
    config = tyro.cli(Config)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    real, generated = samples(config)
    rows = []
    for name in chosen(config.only, list(SCORES), "score"):
        score = SCORES[name]
        values: dict[str, list[float]] = {}
        times = {"jaxgen": [], score.library: []}
        for _ in range(config.repeats):
            for library, function in (("jaxgen", score.jaxgen), (score.library, score.peer)):
                start = time.perf_counter()
                values[library] = function(real, generated)
                times[library].append(time.perf_counter() - start)
        seconds = {library: statistics.median(taken) for library, taken in times.items()}
        ratio = seconds[score.library] / seconds["jaxgen"]
        rows.append({"name": name, "peer": score.library, "ratio": ratio, "seconds": times, "values": values})
        for library in times:
            shown = "  ".join(f"{value:.6g}" for value in values[library])
            print(f"{name:<12}{library:<16}{seconds[library]:>8.2f} s   {shown}", flush=True)
        print(f"{name:<12}jaxgen is faster by {ratio:.2f}", flush=True)
    if config.json:
        config.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")


def samples(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Draw features like those of a network: most of the variance in few directions, cut off at zero."""
    random = np.random.default_rng(0)
    directions = random.standard_normal((64, config.features), np.float32) / 8

    def draw(spread: float) -> np.ndarray:
        hidden = spread * random.standard_normal((config.num, 64), np.float32) @ directions
        return np.maximum(hidden + 0.2 * random.standard_normal(hidden.shape, np.float32), 0.0)

    return draw(1.0), draw(0.8)


def fid(real: np.ndarray, generated: np.ndarray) -> list[float]:
    return [metrics.frechet_distance(real, generated)]


def fid_of_torch_fidelity(real: np.ndarray, generated: np.ndarray) -> list[float]:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    moments = [fid_features_to_statistics(torch.from_numpy(features)) for features in (real, generated)]
    return [float(fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"])]


def kid(real: np.ndarray, generated: np.ndarray) -> list[float]:
    return [metrics.kernel_distance(real, generated, seed=SEED).value]


def kid_of_torch_fidelity(real: np.ndarray, generated: np.ndarray) -> list[float]:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(torch.from_numpy(real), torch.from_numpy(generated), rng_seed=SEED, verbose=False)
    return [float(found["kernel_inception_distance_mean"])]


def manifolds(real: np.ndarray, generated: np.ndarray) -> list[float]:
    k = MANIFOLD_NEIGHBORS
    return [*metrics.precision_recall(real, generated, k=k), *metrics.density_coverage(real, generated, k=k)]


def manifolds_of_prdc(real: np.ndarray, generated: np.ndarray) -> list[float]:
    from prdc import compute_prdc

    found = compute_prdc(real, generated, MANIFOLD_NEIGHBORS)
    return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]


SCORES = {
    "fid": Score(fid, fid_of_torch_fidelity, "torch-fidelity"),
    "kid": Score(kid, kid_of_torch_fidelity, "torch-fidelity"),
    "manifolds": Score(manifolds, manifolds_of_prdc, "prdc"),
}

if __name__ == "__main__":
    main()
