"""One run killed by SIGKILL over and over, then resumed to its end: the bits and reports of a run that never was.

    python tests/faults/kills.py --kills 32

On Linux. Of five kills one is aimed inside a checkpoint's writing, of eight one at the start of the process, the others
at any moment. The exit code is 1 where anything differs, and the last line says how many kills hit what.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import campaign  # first: it sets the environment, and imports what its children need
from helpers import saved_digest
from processes import Process, start, start_cold

from jaxgen.training import checkpoint, run_folder

OFTEN = ("--steps-per-dispatch", 5, "--checkpoint-every", 50, "--log-every", 20, "--sample-every", 1000)
ENDLESS = 10_000_000


class Kills:
    """A run that is killed, in `work`."""

    def __init__(self, work: Path, seed: int):
        self.work, self.run, self.rng = work, work / "killed", random.Random(seed)
        self.processes = 0

    def start(self, run: Path, steps: int, *options: str, cold: bool = False) -> Process:
        self.processes += 1
        begin = start_cold if cold else start
        return begin(["--run-dir", run, "--steps", steps, *OFTEN, *options], self.work / f"process_{self.processes}")

    def saved(self) -> set[int]:
        return set(checkpoint.steps_on_disk(self.run / checkpoint.FOLDER))

    def being_written(self) -> bool:
        return any((self.run / checkpoint.FOLDER).glob("*.orbax-checkpoint-tmp*"))

    def kill(self, moment: str, *options: str) -> None:
        known = self.saved()
        process = self.start(self.run, ENDLESS, *options, cold=moment == "starting")
        if moment == "starting":
            time.sleep(self.rng.uniform(0.5, 6.0))
        else:
            process.await_that(lambda: self.saved() - known)
            time.sleep(self.rng.uniform(0.0, 0.5))
        if moment == "writing":
            process.await_that(self.being_written)
            time.sleep(self.rng.uniform(0.0, 0.01))
        if process.poll():
            raise RuntimeError(f"a run ended by itself: {process.wait()}")
        process.signal(signal.SIGKILL)
        process.wait()

    def differences(self) -> list[str]:
        """What the killed run, gone on with to its end, has other than one that ran in one go."""
        steps, whole = max(self.saved()) + 60, self.work / "whole"
        for run, options in ((self.run, ["--resume"]), (whole, [])):
            result = self.start(run, steps, *options).wait()
            if result.code or result.fault:
                return [f"it did not end: {result}"]
        pairs = {
            "its arrays": [saved_digest(run, steps) for run in (self.run, whole)],
            "its reports": [_without_speed(run) for run in (self.run, whole)],
            "stray files among its checkpoints": [
                {p.name for p in (self.run / checkpoint.FOLDER).iterdir()},
                {str(step) for step in self.saved()},
            ],
        }
        return [name for name, (one, other) in pairs.items() if one != other]


def _without_speed(run: Path) -> list[dict]:
    lines = run_folder.read_metrics(run)
    return [{name: value for name, value in line.items() if not name.startswith("speed/")} for line in lines]


def moments(kills: int) -> list[str]:
    """When each kill comes."""
    return ["writing" if i % 5 == 1 else "starting" if i % 8 == 2 else "anywhere" for i in range(kills)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="jaxgen-kills-"))
    campaign.keep_compiled_programs(work)
    kills, left_behind, chosen = Kills(work, options.seed), 0, moments(options.kills)
    for i, moment in enumerate(chosen):
        kills.kill(moment, *(["--resume"] if i else []))
        left_behind += kills.being_written()
    found = kills.differences()
    print(f"differences: {found or 'none'}" + f" (see {work})" * bool(found))
    counts = {moment: chosen.count(moment) for moment in ("anywhere", "writing", "starting")}
    print(f"kills: {counts}; half-written checkpoints left behind: {left_behind}")
    if not found:
        shutil.rmtree(work)
    return int(bool(found) or not left_behind)


if __name__ == "__main__":
    sys.exit(main())
