"""Faults on tiny runs: each is then resumed to its end, which must be that of an undisturbed run to the bit.

    python tests/faults/campaign.py --faults 200 --out TABLE.md

On Linux. Of each fault the outcome is one of
  equal: the run ended in the bits of an undisturbed one (a run that had saved nothing yet was started anew);
  refused: one sentence, exit code 2, and every file is as it was;
  lost: anything else, such as a traceback, other bits, a process that hangs, a file of somebody else's changed.
Outputs of lost ones are kept in --work. `--jobs N` tries N at once, `--first I --faults 1` repeats number I, and
`--only WORDS` leaves out other kinds.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple, TextIO

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "MPLBACKEND": "agg", "COLUMNS": "200"}

import jax  # noqa: E402
import matplotlib.pyplot  # noqa: E402, F401  imported here, so that no child need do it
import orbax.checkpoint  # noqa: E402, F401
import tiny_experiment  # noqa: E402, F401
from helpers import file_digests, saved_digest  # noqa: E402
from kinds import END, FIRST_END, OPTIONS, SAVED, Kind, Scene, Skipped, all_kinds  # noqa: E402
from processes import start, start_cold  # noqa: E402

from jaxgen.training import checkpoint, run_folder  # noqa: E402


class Outcome(NamedTuple):
    kind: str
    word: str
    """ "equal", "refused" or "lost"."""
    why: str = ""


class Campaign:
    """The runs that are disturbed are copies of these: one stopped at step `SAVED`, one done at `FIRST_END`."""

    def __init__(self, work: Path, seed: int):
        self.work, self.seed = work, seed
        self.templates = work / "templates"
        shutil.rmtree(self.templates, ignore_errors=True)
        self.templates.mkdir(parents=True)
        for name, steps in (("stopped", SAVED), ("done", FIRST_END), ("undisturbed", END)):
            arguments = ["--run-dir", self.templates / name, "--steps", steps, *OPTIONS]
            result = start(arguments, self.templates / f"{name}_process").wait()
            if result.code or result.fault:
                raise RuntimeError(f"an undisturbed run failed: {result}")
        self.digest = saved_digest(self.templates / "undisturbed", END)
        self.reports = _reports(self.templates / "undisturbed")

    def attempt(self, index: int, kind: Kind) -> Outcome:
        """Fault number `index`: what came of it."""
        folder = self.work / f"{index:05d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        count = iter(range(100))

        def stem() -> Path:
            return folder / f"process_{next(count)}"

        scene = Scene(
            random.Random(f"{self.seed}/{index}"),
            folder,
            folder / "run",
            lambda arguments, prepare=lambda: None: start(arguments, stem(), prepare),
            lambda arguments: start_cold(arguments, stem()),
        )
        (folder / "victim" / "8").mkdir(parents=True)
        for name in ("file.txt", "step_0000003.png", "step_0000012.png", "8/file.txt"):
            (folder / "victim" / name).write_text("mine")
        victim = file_digests(folder / "victim")
        if kind.begins != "nothing":
            shutil.copytree(self.templates / kind.begins, scene.run, symlinks=True)
        try:
            why = self._disturb(scene, kind) or self._go_on(scene, kind)
        except Skipped:
            shutil.rmtree(folder)
            raise
        if file_digests(folder / "victim") != victim:
            why = "a file outside the run was changed"
        word = "equal" if why is None else "refused" if why.startswith("error:") else "lost"
        if word != "lost":
            shutil.rmtree(folder)
        return Outcome(kind.name, word, why or "")

    def _disturb(self, scene: Scene, kind: Kind) -> str | None:
        """What is wrong with the processes that met the fault."""
        for process in kind.act(scene):
            result = process.wait()
            if (not kind.signal or result.code != -kind.signal) and (fault := result.fault):
                return f"at the fault: {fault}"
        if (
            kind.begins == "done"
            and scene.run.exists()
            and (fault := scene.start(["jaxgen", "info", scene.run]).wait().fault)
        ):
            return f"info: {fault}"
        return None

    def _go_on(self, scene: Scene, kind: Kind) -> str | None:
        """None: the run ended in the right bits; a sentence that begins with "error:": refused; else what is wrong."""
        saved = checkpoint.steps_on_disk(scene.run / checkpoint.FOLDER)
        before = file_digests(scene.run)
        result = scene.start(["--resume", scene.run, "--steps", END]).wait()
        if result.code and kind.begins == "nothing" and not saved and not result.fault:
            over = ["--overwrite"] if run_folder.is_run(scene.run) else []
            run = scene.run if over else scene.folder / "anew"
            result, scene = (
                scene.start(["--run-dir", run, "--steps", END, *OPTIONS, *over]).wait(),
                scene._replace(run=run),
            )
        if fault := result.fault:
            return f"resumed: {fault}"
        if result.code:
            sentence = next(line for line in result.err.splitlines() if line.startswith("error:"))
            if kind.begins != "done":
                return f"resumed, though nothing is damaged: {sentence}"
            after = file_digests(scene.run)
            # config.json may say by now how many steps were asked for.
            gone = sorted(n for n, digest in before.items() if n != "config.json" and after.get(n) != digest)
            return f"{gone[0]} changed by a resume that was refused" if gone else sentence
        return self._compare(scene, kind)

    def _compare(self, scene: Scene, kind: Kind) -> str | None:
        try:
            digest = saved_digest(scene.run, END)
        except (OSError, ValueError, KeyError) as error:
            return f"exit code 0, but no checkpoint {END} ({type(error).__name__})"
        if digest != self.digest:
            return "other bits"
        if kind.begins != "done" and _reports(scene.run) != self.reports:
            return "the same bits, but other reports"
        return None


def _reports(run: Path) -> Any:
    """What a run reported, without its speed."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [{name: x for name, x in line.items() if not name.startswith("speed/")} for line in lines]
    return lines, file_digests(run / "samples")


def table(outcomes: list[Outcome]) -> str:
    """Of each kind how often it was tried, and what came of it, in Markdown; then every lost one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        counts[outcome.kind][outcome.word] += 1
    counts["all"] = sum(counts.values(), Counter())
    words = ("equal", "refused", "lost")
    lines = ["| fault | tried | equal to the bit | refused | lost |", "|---|---|---|---|---|"]
    for kind, of in counts.items():
        lines.append(f"| {kind} | {of.total()} | " + " | ".join(str(of[word]) for word in words) + " |")
    return "\n".join(lines) + "\n"


def _in_processes(campaign: Campaign, tries: list[tuple[int, Kind]], jobs: int) -> list[Outcome]:
    """What came of all tries, each `jobs`-th of them by one child."""
    files = [campaign.work / f"outcomes_{job}.jsonl" for job in range(jobs)]
    children = []
    for job, file in enumerate(files):
        if not (child := os.fork()):
            code = 1
            try:
                with file.open("w", buffering=1) as lines:
                    _try_each(campaign, tries[job::jobs], lines)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    if any([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]):
        raise RuntimeError("the campaign itself failed, see above")
    return [Outcome(*json.loads(line)) for file in files for line in file.read_text().splitlines()]


def _try_each(campaign: Campaign, tries: list[tuple[int, Kind]], lines: TextIO) -> None:
    for index, kind in tries:
        try:
            outcome = campaign.attempt(index, kind)
        except Skipped as why:
            print(f"{index}: {kind.name} ({kind.begins}): left out, since {why}", flush=True)
            continue
        lines.write(json.dumps(outcome) + "\n")
        print(f"{index}: {kind.name} ({kind.begins}): {outcome.word} {outcome.why}", flush=True)


def keep_compiled_programs(work: Path) -> None:
    """Let the children share what they compile: in a folder of `work`, unless the environment names another."""
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(work / "cache"))
    jax.config.update("jax_compilation_cache_dir", cache)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args(arguments)
    work = options.work or Path(tempfile.mkdtemp(prefix="jaxgen-faults-"))
    work.mkdir(parents=True, exist_ok=True)
    keep_compiled_programs(work)
    campaign, began = Campaign(work, options.seed), time.monotonic()
    kinds = all_kinds()
    random.Random(options.seed).shuffle(kinds)  # a short campaign tries some of all sorts
    tries = [(i, kinds[i % len(kinds)]) for i in range(options.first, options.first + options.faults)]
    tries = [(i, kind) for i, kind in tries if options.only in kind.name]
    outcomes = _in_processes(campaign, tries, options.jobs)
    order = [kind.name for kind in all_kinds()]
    text = table(sorted(outcomes, key=lambda outcome: order.index(outcome.kind)))
    print(f"{text}\n{time.monotonic() - began:.0f} s")
    if options.out:
        options.out.write_text(text)
    lost = any(outcome.word == "lost" for outcome in outcomes)
    if lost:
        print(f"The outputs of what was lost are in {work}.")
    elif options.work is None:
        shutil.rmtree(work)
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
