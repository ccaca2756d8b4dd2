"""The kinds of faults: what is done to a run, and when."""

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from processes import Process, at_file_operation, limit_file_size, obey_modes

SAVED, FIRST_END, END = 4, 8, 12
"""The steps that the runs that are disturbed begin at, end at, and are resumed to in the end."""
OPTIONS = ("--eval-every", "4", "--devices", "1")
_TRIGGERS = ("start", "compile", "step", "save", "evaluation", "end")


class Scene(NamedTuple):
    """One try."""

    rng: random.Random
    folder: Path
    """Of this try alone; the run is in `run`."""
    run: Path
    start: Callable[..., Process]
    """(arguments, prepare) -> a process, in the folder."""
    start_cold: Callable[..., Process]

    def begin(self, prepare: Callable[[], None] = lambda: None) -> Process:
        """A run of `FIRST_END` steps: a new one, or one that goes on from step `SAVED`."""
        return self.start(self.arguments(), prepare)

    def arguments(self) -> list[str]:
        if self.run.exists():
            return ["--resume", str(self.run), "--steps", str(FIRST_END)]
        return ["--run-dir", str(self.run), "--steps", str(FIRST_END), *OPTIONS]


class Skipped(Exception):
    """A fault that this machine cannot have."""


class Kind(NamedTuple):
    name: str
    begins: str
    """What there is at first: "nothing", "stopped" (a run of `SAVED` steps) or "done" (of `FIRST_END`)."""
    act: Callable[[Scene], list[Process]]
    """Start, disturb and return the processes, whose results are looked at unless they were killed."""
    signal: int = 0
    """That was sent."""


# ---------------------------------------------------------------- processes that are stopped


def _await(process: Process, trigger: str, run: Path) -> None:
    """Wait for a moment in the life of a run."""
    metrics, checkpoints = run / "metrics.jsonl", run / "checkpoints"
    old = metrics.stat().st_size if metrics.is_file() else 0
    known = {p.name for p in checkpoints.glob("*")}
    process.await_that(
        {
            "start": run.is_dir,
            "compile": lambda: process.said("compiling the train step"),
            "step": lambda: metrics.is_file() and metrics.stat().st_size > old,
            "save": lambda: {p.name for p in checkpoints.glob("*")} - known,
            "evaluation": lambda: process.said(f"step {FIRST_END}/"),
            "end": lambda: process.said(f"step {FIRST_END}: eval"),
        }[trigger]
    )


def _stopped(number: int, times: int, trigger: str) -> Callable[[Scene], list[Process]]:
    def act(scene: Scene) -> list[Process]:
        process = scene.begin()
        _await(process, trigger, scene.run)
        for _ in range(times):
            time.sleep(scene.rng.random() ** 2 * 0.3)
            process.signal(number)
        return [process]

    return act


def _stopped_while_imports_run(number: int, times: int) -> Callable[[Scene], list[Process]]:
    def act(scene: Scene) -> list[Process]:
        process = scene.start_cold(scene.arguments())
        for _ in range(times):
            time.sleep(scene.rng.random() * 3)
            process.signal(number)
        return [process]

    return act


def _killed_at_a_file_operation(scene: Scene) -> list[Process]:
    number = scene.rng.randint(1, 120)
    kill = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    return [scene.begin(lambda: at_file_operation(scene.folder, number, kill))]


def _killed_while_the_cache_is_empty(scene: Scene) -> list[Process]:
    import jax

    cache = str(scene.folder / "cache")
    process = scene.begin(lambda: jax.config.update("jax_compilation_cache_dir", cache))
    _await(process, "compile", scene.run)
    time.sleep(scene.rng.random() * 2)
    process.signal(signal.SIGKILL)
    return [process]


def _two_at_once(scene: Scene) -> list[Process]:
    first = scene.begin()
    time.sleep(scene.rng.random() ** 2)
    return [first, scene.begin()]


# ---------------------------------------------------------------- a disk that does not take what is written


def _error_at_a_file_operation(number: int, *, once: bool) -> Callable[[Scene], list[Process]]:
    def act(scene: Scene) -> list[Process]:
        def fail(path: str) -> None:
            raise OSError(number, os.strerror(number), path)

        first = scene.rng.randint(1, 120)
        return [scene.begin(lambda: at_file_operation(scene.folder, first, fail, once=once))]

    return act


def _file_size_limit(scene: Scene) -> list[Process]:
    size = int(10 ** scene.rng.uniform(1, 5))
    return [scene.begin(lambda: limit_file_size(size))]


def _small_disk(scene: Scene) -> list[Process]:
    """A disk of its own for the run, which is moved to a larger one afterwards."""
    copied = sum(path.stat().st_size + 4096 for path in scene.run.rglob("*")) >> 10  # in whole pages
    size = copied + scene.rng.randint(4, 250)
    disk, kept = scene.folder / "disk", scene.folder / "kept"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", disk], capture_output=True).returncode:
        raise Skipped("a disk can be mounted by root alone")
    try:
        moved = scene._replace(run=disk / "run")
        if scene.run.exists():
            shutil.copytree(scene.run, moved.run)
        process = moved.begin()
        process.wait()
        if moved.run.exists():
            shutil.copytree(moved.run, kept)
    finally:
        subprocess.run(["umount", disk], check=True)
    if kept.exists():
        shutil.rmtree(scene.run, ignore_errors=True)
        kept.rename(scene.run)
    return [process]


def _read_only(where: str) -> Callable[[Scene], list[Process]]:
    """A folder of the run, or all of it, that may not be written; it may afterwards."""

    def act(scene: Scene) -> list[Process]:
        folders = [p for p in (scene.run, *scene.run.rglob("*")) if p.is_dir()]
        chosen = folders if where == "all" else [scene.rng.choice(folders)]
        for folder in chosen:
            folder.chmod(0o555)
        process = scene.begin(obey_modes)
        process.wait()
        for folder in chosen:
            folder.chmod(0o755)
        return [process]

    return act


# ---------------------------------------------------------------- files that are damaged


def _delete(path: Path, scene: Scene) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _truncate(path: Path, scene: Scene) -> None:
    os.truncate(path, scene.rng.randrange(path.stat().st_size) if path.stat().st_size else 0)


def _flip_bit(path: Path, scene: Scene) -> None:
    if content := bytearray(path.read_bytes()):
        content[scene.rng.randrange(len(content))] ^= 1 << scene.rng.randrange(8)
        path.write_bytes(content)


def _overwrite(path: Path, scene: Scene) -> None:
    content = path.read_bytes()
    at = scene.rng.randrange(len(content) + 1)
    path.write_bytes(content[:at] + scene.rng.randbytes(64) + content[at + 64 :])


def _append(path: Path, scene: Scene) -> None:
    path.write_bytes(
        path.read_bytes() + scene.rng.choice([b"\x00" * 9, b"{\n", b'{"step": "a"}\n', b"[1]\n", b"\xff\xfe\n"])
    )


def _other_kind(path: Path, scene: Scene) -> None:
    folder = path.is_dir()
    _delete(path, scene)
    path.write_text("a file") if folder else path.mkdir()


def _link(path: Path, scene: Scene) -> None:
    """To something of the person's own, which must stay as it is, or to nothing."""
    folder, victim = path.is_dir(), scene.folder / "victim"
    _delete(path, scene)
    path.symlink_to(scene.rng.choice([victim if folder else victim / "file.txt", scene.folder / "nothing"]))


def _files_of(run: Path, of: str) -> list[Path]:
    where = {
        "latest checkpoint": run / "checkpoints" / str(FIRST_END),
        "any checkpoint": run / "checkpoints",
        "any": run,
        "samples": run / "samples",
    }.get(of)
    found = [run / of] if where is None else [p for p in where.rglob("*") if p.is_file()]
    return sorted(found)


def _folders_of(run: Path) -> list[Path]:
    return sorted(p for p in run.rglob("*") if p.is_dir())


def _damaged(how: Callable[[Path, Scene], None], of: str) -> Callable[[Scene], list[Process]]:
    def act(scene: Scene) -> list[Process]:
        choices = _folders_of(scene.run) if of == "folder" else _files_of(scene.run, of)
        how(scene.rng.choice(choices), scene)
        return []

    return act


def _strays(scene: Scene) -> list[Process]:
    """Files and folders that are nobody's, under names that look like a run's."""
    run, rng = scene.run, scene.rng
    files = ["samples/step_1_copy.png", "samples/step_².png", "samples/step_99999999999999999999.png", "checkpoints/9"]
    files += ["config.json.part", "metrics.jsonl.part", ".DS_Store", "checkpoints/.DS_Store", "checkpoints/notes.txt"]
    folders = ["checkpoints/10", "checkpoints/²", "checkpoints/007", "samples/step_0000008.png.d", "config.json.part"]
    folders += ["checkpoints/11.orbax-checkpoint-tmp", "checkpoints/8.damaged", "checkpoints/-1", "metrics.jsonl.part"]
    for path in rng.sample([(run / f, False) for f in files] + [(run / f, True) for f in folders], 4):
        if not path[0].exists():
            path[0].mkdir() if path[1] else path[0].write_text("mine")
    return []


def all_kinds() -> list[Kind]:
    """Every kind, in the order in which they are tried."""
    kinds = [
        Kind("SIGKILL at a file operation", begins, _killed_at_a_file_operation, signal.SIGKILL)
        for begins in ("nothing", "stopped")
    ]
    for name, times in (("SIGKILL", 1), ("SIGTERM", 1), ("SIGINT", 1), ("SIGHUP", 1), ("SIGINT", 2), ("SIGTERM", 2)):
        number = signal.Signals[name]
        what = f"{name} {'twice ' * (times - 1)}".strip()
        for i, trigger in enumerate(_TRIGGERS):
            kinds.append(
                Kind(f"{what}: {trigger}", ("nothing", "stopped")[i % 2], _stopped(number, times, trigger), number)
            )
        kinds.append(Kind(f"{what}: imports", "stopped", _stopped_while_imports_run(number, times), number))
    kinds.append(Kind("SIGKILL: compiling, cold cache", "nothing", _killed_while_the_cache_is_empty, signal.SIGKILL))
    kinds.append(Kind("two processes resume one run", "stopped", _two_at_once))
    for name in ("ENOSPC", "EACCES", "EIO", "EROFS"):
        act = _error_at_a_file_operation(getattr(errno, name), once=name == "EIO")
        kinds += [Kind(f"{name} at a file operation", begins, act) for begins in ("nothing", "stopped")]
    kinds += [Kind("file-size limit", begins, _file_size_limit) for begins in ("nothing", "stopped")]
    kinds += [Kind("full disk", begins, _small_disk) for begins in ("nothing", "stopped")]
    kinds += [Kind(f"read-only: {where}", "stopped", _read_only(where)) for where in ("all", "one folder")]
    ways = {
        "deleted": _delete,
        "truncated": _truncate,
        "one bit flipped": _flip_bit,
        "64 bytes overwritten": _overwrite,
    }
    ways |= {"a folder in its place": _other_kind, "a link in its place": _link, "bytes appended": _append}
    for of in ("latest checkpoint", "any checkpoint", "config.json", "metrics.jsonl", "samples", "any"):
        kinds += [Kind(f"{of}: {name}", "done", _damaged(way, of)) for name, way in ways.items()]
    for name, way in {"deleted": _delete, "a file in its place": _other_kind, "a link in its place": _link}.items():
        kinds.append(Kind(f"folder: {name}", "done", _damaged(way, "folder")))
    return [*kinds, Kind("stray files and folders", "done", _strays)]
