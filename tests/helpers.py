"""Running runs and commands, and looking at what they left."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxgen.training.config import TrainConfig

REFERENCES = Path(__file__).parent / "references"
"""What other libraries computed, and the programs that made it."""


def floats(tree: Any) -> list[tuple[str, np.ndarray]]:
    """(path, array) of the leaves that are floating-point numbers."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        (jax.tree_util.keystr(path), np.asarray(x)) for path, x in leaves if jax.numpy.issubdtype(x.dtype, np.floating)
    ]


def subtree(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """The arrays whose names begin so, as they are, as a tree of what follows there, split at slashes."""
    names = [name for name in arrays if name.startswith(prefix)]
    return unflatten_dict({name.removeprefix(prefix): arrays[name] for name in names}, sep="/")


# ---------------------------------------------------------------- runs


def tiny_config(run_dir: Path, **options: Any) -> TrainConfig:
    """8 steps on one device; reports and checkpoints every 4."""
    defaults = {
        "steps": 8,
        "batch_size": 16,
        "devices": 1,
        "steps_per_dispatch": 4,
        "checkpoint_every": 4,
        "log_every": 2,
        "sample_every": 4,
    }
    return TrainConfig().replace(run_dir=run_dir, **(defaults | options))


def process_environment(devices: int = 1) -> dict[str, str]:
    return {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONUNBUFFERED": "1",
    }


def start_python(*arguments: Any, devices: int = 1, cwd: Path | None = None) -> subprocess.Popen:
    """`python ARGUMENTS` as a process of its own, whose output is captured as text."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=process_environment(devices),
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_python(*arguments: Any, devices: int = 1, cwd: Path | None = None, timeout: float = 300) -> Any:
    """Runs `python ARGUMENTS` to its end; killed after `timeout` seconds."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=process_environment(devices),
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def overwrite_64_bytes(folder):
    """In the middle of the largest file of a checkpoint: the array data."""
    path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(255 - b for b in content[middle : middle + 64])
    path.write_bytes(content)


def saved_digest(run_dir: Path, step: int) -> str:
    """The digest of the state that was saved with checkpoint `step`."""
    return json.loads((run_dir / "checkpoints" / str(step) / "run" / "metadata").read_text())["digest"]
