"""Training steps per second, jaxgen beside other libraries: the same networks, batch and update in each.

    pip install -e '.[bench]'
    python benchmarks/train_step.py --only mlp_gan,dcgan --json results.json

Every library runs in a process of its own and waits there while another one computes, so their thread pools do not
disturb each other. The blocks of steps alternate, so that all see the same noise of the machine. See README.md.
"""

import dataclasses
import importlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import chosen, machine

OURS = ("jaxgen", "jaxgen_devices")  # as one device, and with each CPU core as one
# What runs: name -> the libraries that have a builder of that name in BUILDERS of their file peers_<library>.py.
# torch_compiled is left out where torch cannot take the step: compiled networks have no second derivatives (stylegan2),
# and torch 2.11 ends a step that goes back through D(G(z)) twice with an error (the other GANs).
ENTRIES = {
    "mlp_gan": (*OURS, "torch", "keras"),
    "dcgan": (*OURS, "torch", "keras"),
    "conv_vae": (*OURS, "torch", "torch_compiled", "keras"),
    "sngan": (*OURS, "torch", "keras"),
    "vq_vae": (*OURS, "torch", "torch_compiled", "keras"),
    "cycle_gan": (*OURS, "torch", "torch_compiled"),
    "stylegan2": (*OURS, "torch"),
    "diffusion": (*OURS, "torch", "torch_compiled"),
    "gpt": (*OURS, "torch", "torch_compiled"),
}
LIBRARIES = list(dict.fromkeys(itertools.chain(*ENTRIES.values())))
WARM_UP = 5  # steps, left out of the figures
PAUSE = 0.1  # seconds between blocks, in which a library's idle threads go to sleep


@dataclasses.dataclass(frozen=True)
class Config:
    """Measure training steps per second beside other libraries."""

    only: str = ""  # names of entries, with commas between them; all where empty
    peers: str = ""  # names of libraries, with commas between them; all where empty
    blocks: int = 15  # blocks of steps for each library, taken in turn
    block_seconds: float = 2.0  # about how long one block takes
    at_once: bool = False  # build and compile all entries side by side, and only then measure (many cores, a GPU)
    json: Path | None = None  # file for the results


class Worker:
    """A process that holds one library's training run and takes steps on request."""

    def __init__(self, peer: str, name: str):
        self.peer, self.is_ready = peer, None
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", peer, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ},  # a GPU's memory is for all processes
        )

    def wait(self) -> bool:
        """Wait until all is built and compiled; return False if the process ended instead."""
        if self.is_ready is None:
            self.is_ready = self._read() is not None
        return self.is_ready

    def seconds(self, steps: int) -> float:
        """Take `steps` steps, and return the seconds they took."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        seconds = self._read()
        if seconds is None:
            raise SystemExit(f"The worker for {self.peer} ended early (exit code {self.process.wait()}).")
        return seconds

    def _read(self) -> float | None:
        while line := self.process.stdout.readline():
            if line.startswith("@"):
                return float(line[1:])
        return None

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def work(peer: str, name: str) -> None:
    """Build, warm up, and then time as many steps as each line of standard input says; this is the worker process."""
    run = importlib.import_module(f"peers_{peer}").BUILDERS[name]()
    for _ in range(2):  # compilation, thread pools, caches
        run(WARM_UP)
    print("@0", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        run(int(line))
        print(f"@{time.perf_counter() - start}", flush=True)


def build(names: list[str], config: Config, report: Callable[[str], None]) -> dict[str, list[Worker]]:
    """Build the workers of some entries for the requested libraries, one after another or all at once.

    An entry that cannot be built is reported and left out; no worker is still being built when this returns.
    """
    asked = chosen(config.peers, LIBRARIES, "library")
    workers = {name: [] for name in names}
    for name in names:
        for library in ENTRIES[name]:
            if library in asked:
                workers[name].append(Worker(library, name))
                if not config.at_once:
                    workers[name][-1].wait()
    for name, others in workers.items():
        for worker in others:
            if not worker.wait():
                report(f"{name:<12}{worker.peer:<16}is left out: it ended early (exit code {worker.process.wait()})")
    return {name: [worker for worker in others if worker.wait()] for name, others in workers.items()}


def measure(name: str, workers: list[Worker], config: Config) -> list[dict]:
    """Return one row for each library: median milliseconds per step, their spread, and the ratio of our speed to it."""
    times = {worker.peer: [] for worker in workers}
    try:
        steps = {}
        for worker in workers:
            step = worker.seconds(WARM_UP) / WARM_UP
            steps[worker.peer] = max(2, round(config.block_seconds / step))
        for _ in range(config.blocks):
            for worker in workers:
                time.sleep(PAUSE)
                times[worker.peer].append(1e3 * worker.seconds(steps[worker.peer]) / steps[worker.peer])
    finally:
        for worker in workers:
            worker.close()
    rows = []
    for peer in times:
        low, median, high = statistics.quantiles(times[peer], n=4)
        row = {"name": name, "peer": peer, "milliseconds": median, "quartiles": [low, high], "blocks": times[peer]}
        if peer not in OURS:  # our steps per second over this library's, block beside block
            row["ratios"] = {
                ours: statistics.median(theirs / mine for theirs, mine in zip(times[peer], times[ours], strict=True))
                for ours in OURS
                if ours in times
            }
        rows.append(row)
    return rows


def main(report: Callable[[str], None] = print) -> None:
    import tyro

    config = tyro.cli(Config)
    about = machine()
    report(", ".join(f"{key} {value}" for key, value in about.items()))
    report(f"{'entry':<12}{'library':<16}{'ms a step':>10}{'quartiles':>18}   is slower by")
    rows = []
    names = chosen(config.only, list(ENTRIES), "entry")
    groups = [names] if config.at_once else [[name] for name in names]
    built = (entry for group in groups for entry in build(group, config, report).items())  # each when its turn comes
    for name, workers in built:
        entry_rows = measure(name, workers, config)
        for row in entry_rows:
            low, high = row["quartiles"]
            ratios = ", ".join(f"{ratio:.2f} ({ours})" for ours, ratio in row.get("ratios", {}).items())
            spread = f"{low:.2f} to {high:.2f}"
            report(f"{name:<12}{row['peer']:<16}{row['milliseconds']:>10.2f}{spread:>18}   {ratios}".rstrip())
        rows += entry_rows
        for ours in OURS:
            ratios = [row["ratios"][ours] for row in entry_rows if ours in row.get("ratios", {})]
            if ratios:
                rows.append({"name": name, "peer": "fastest", "of": ours, "ratio": min(ratios)})
                report(f"{name:<12}steps per second of {ours} over the fastest of the others: {min(ratios):.2f}")
    if config.json:
        config.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
