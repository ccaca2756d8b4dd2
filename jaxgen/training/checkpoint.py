"""Checkpoints: the whole TrainState and the run's JSON, atomic, asynchronous, and checked when read.

Orbax writes them. This module adds a digest over every byte of the state, since damaged array files restore silently
with wrong values; a digest over the JSON, including the state's digest; and a fallback to the newest checkpoint that is
intact.
"""

import contextlib
import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.core.json_values import from_json
from jaxgen.core.state import TrainState
from jaxgen.core.types import Array, Json, PyTree
from jaxgen.data.limits import check_memory
from jaxgen.training.checkpoint_folder import FOLDER as FOLDER
from jaxgen.training.checkpoint_folder import Manager, Steps, ignore_late_ends, is_unfinished
from jaxgen.training.checkpoint_folder import steps_on_disk as steps_on_disk

WEIGHTS = ("params", "model_state", "ema_params")
"""Parts of a state from which another run can start."""

FORMAT = 2
"""Version of the JSON; from 2 on it has its own digest."""

_Read = TypeVar("_Read")


def open_checkpoints(folder: Path, *, keep: int = 2, keep_every: int | None = None) -> ocp.CheckpointManager:
    """Return a manager of folders `STEP/` that keeps the last `keep` checkpoints and every multiple of `keep_every`.

    Files that a killed process left half-written are removed.
    """
    run_dir, folder = Path(folder).parent, Path(folder).absolute()
    if folder.is_dir():
        for leftover in folder.iterdir():
            if is_unfinished(leftover):
                with contextlib.suppress(OSError):  # another process may be doing the same
                    files.remove_tree(leftover)
    return Manager(
        run_dir,
        folder,
        ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            keep_period=keep_every,
            create=True,
            step_name_format=Steps(),
            # If a folder cannot be created in the background, orbax's threads wait for it for five minutes, and the
            # process waits for them.
            async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
        ),
    )


def _array(leaf: Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def _arrays(state: TrainState) -> list[tuple[str, np.ndarray]]:
    """Return (path, array) of every leaf, with keys as their data, in a fixed order."""
    return [(jax.tree_util.keystr(path), _array(x)) for path, x in jax.tree_util.tree_flatten_with_path(state)[0]]


def by_path(tree: PyTree) -> dict[str, PyTree]:
    """Return the leaves of a tree by paths such as generator/Dense_0/kernel, independent of the node types."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _sha256(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256 of the arrays' names, types, shapes and bytes."""
    sha = hashlib.sha256()
    for path, array in arrays:
        sha.update(f"{path}|{array.dtype}|{array.shape}|".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # a view, since bfloat16 has no buffer
    return sha.hexdigest()


def digest(state: TrainState) -> str:
    """Return the SHA-256 over the names, types, shapes and bytes of all leaves: equal digests mean equal bits."""
    return _sha256(_arrays(state))


def _weights_digest(weights: PyTree) -> str:
    """Return the SHA-256 of the parts named by `WEIGHTS`, whatever nodes they were read into."""
    return _sha256(sorted((path, _array(leaf)) for path, leaf in by_path(weights).items()))


def all_finite(state: TrainState) -> bool:
    """Return whether every floating-point value of the state is finite."""
    return all(
        bool(np.isfinite(array).all()) for _, array in _arrays(state) if jnp.issubdtype(array.dtype, jnp.inexact)
    )


def save(manager: ocp.CheckpointManager, state: TrainState, record: Json) -> None:
    """Start to write the state and `record` (JSON-serializable) as checkpoint `state.step`; do not wait for
    the disk.
    """
    step = int(state.step)
    if jax.default_backend() == "cpu":
        # On a CPU the writer would read the same buffers that the next dispatch overwrites.
        state = jax.tree.map(jnp.copy, state)
    weights = {name: getattr(state, name) for name in WEIGHTS}
    digests = {"digest": digest(state), "weights_digest": _weights_digest(weights)}
    run = {**record, "step": step, **digests, "format": FORMAT}
    manager.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            run=ocp.args.JsonSave({**run, "signature": _json_digest(run)}),
        ),
    )


def _json_digest(run: Json) -> str:
    """Return the SHA-256 of JSON in canonical form, excluding the signature itself."""
    signed = {key: value for key, value in run.items() if key != "signature"}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def restore_step(folder: Path, step: int, target: TrainState) -> tuple[TrainState, Json]:
    """Restore checkpoint `step` of a folder and check it against its digest.

    Args:
      target: a state (or `jax.ShapeDtypeStruct`s, with shardings if they matter) of the shapes to restore.

    Raises:
      UserError: the checkpoint is incomplete, damaged, or of another model.
    """
    path = Path(folder).absolute() / str(step)
    handlers = {"state": ocp.StandardCheckpointHandler(), "run": ocp.JsonCheckpointHandler()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as reader:
        run = _read_run(reader, path)
        try:
            _check_shapes(reader.metadata(path).item_metadata["state"].tree, target)
            state = reader.restore(path, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))["state"]
        except Exception as error:
            raise UserError(
                f"Checkpoint {step} in {folder} cannot be read as this model's state: it is damaged or was made with "
                f"other network settings ({error if type(error) is _OtherShape else type(error).__name__})."
            ) from error
    if digest(state) != run["digest"] or int(state.step) != step:
        raise _damaged(path)
    return state, run


class _OtherShape(ValueError):
    """Error for a checkpoint of another model."""


def _check_shapes(stored: PyTree, target: TrainState) -> None:
    """Refuse arrays of other shapes before orbax reads them, which would allocate them and print tracebacks.

    Raises:
      _OtherShape: an array has another shape; the message names the first one.
    """
    found = by_path(stored)
    for path, leaf in by_path(target).items():
        if path not in found or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            continue
        if (shape := tuple(getattr(found[path], "shape", leaf.shape))) != tuple(leaf.shape):
            raise _OtherShape(f"{path} is {list(shape)}, not {list(leaf.shape)}")


def restore_weights(folder: Path, step: int) -> dict[str, dict[str, np.ndarray]]:
    """Restore the parts named by `WEIGHTS` of checkpoint `step` of any model: checked arrays by their paths.

    Raises:
      UserError: the checkpoint is incomplete, damaged, too old to have a digest of its weights, or declares more memory
        for them than both the limit and the size of its files.
    """
    path = Path(folder).absolute() / str(step)
    handlers = {"state": ocp.PyTreeCheckpointHandler(), "run": ocp.JsonCheckpointHandler()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as reader:
        run = _read_run(reader, path)
        if "weights_digest" not in run:
            raise UserError(
                f"Checkpoint {step} in {folder} was written by an earlier version of jaxgen: go on with that run for a "
                "step (--resume), and begin from it then."
            )
        try:
            tree = reader.metadata(path).item_metadata["state"].tree
            shapes = {
                name: jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree.get(name) or {})
                for name in WEIGHTS
            }
            needed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
            check_memory(needed, f"Checkpoint {step} in {folder}", on_disk=_bytes_of(path))
            types = jax.tree.map(lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
            how = ocp.args.PyTreeRestore(item=shapes, restore_args=types, partial_restore=True)
            weights = reader.restore(path, args=ocp.args.Composite(state=how))["state"]
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"Checkpoint {step} in {folder} cannot be read ({type(error).__name__}).") from error
    if _weights_digest(weights) != run["weights_digest"]:
        raise _damaged(path)
    return {name: by_path(weights[name]) for name in WEIGHTS}


def _read_run(reader: ocp.Checkpointer, path: Path) -> Json:
    """Return the JSON of a checkpoint, checked against its digest (or its form, if it is older than digests)."""
    _check_plain(path)
    ignore_late_ends()
    try:
        run = reader.restore(path, args=ocp.args.Composite(run=ocp.args.JsonRestore()))["run"]
    except Exception as error:
        raise UserError(f"Checkpoint {path.name} in {path.parent} is incomplete ({type(error).__name__}).") from error
    try:
        version = from_json(run.get("format", 1), int)
        if version > FORMAT:
            raise UserError(
                f"Checkpoint {path.name} in {path.parent} was written by a later version of jaxgen: use that one."
            )
        from_json(run.get("totals", {}), dict[str, tuple[float, float]])
        if best := from_json(run.get("best", {}), dict[str, str | float]):
            from_json(best["value"], float)
        is_signed = version == FORMAT or "signature" in run  # older ones have no signature to check
        whole = isinstance(run["digest"], str) and run["step"] == int(path.name)
        whole = whole and (not is_signed or run["signature"] == _json_digest(run))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)
    return run


def _check_plain(path: Path) -> None:
    """Refuse a checkpoint with links or devices in it, since everything that is read must be in its folder."""
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            mode = os.lstat(Path(folder, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise UserError(f"Checkpoint {path.name} in {path.parent} is damaged: {name} is no regular file.")


def _bytes_of(path: Path) -> int:
    """Return the bytes that the files of a checkpoint take on the disk."""
    return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


def _damaged(path: Path) -> UserError:
    return UserError(
        f"Checkpoint {path.name} in {path.parent} is damaged: its bytes do not match the digest saved with it."
    )


def restore_latest(
    folder: Path, target: TrainState, warn: Callable[[str], object] = print, step: int | None = None
) -> tuple[TrainState, Json]:
    """Restore the newest intact checkpoint (or checkpoint `step`) and its JSON, and report skipped ones by `warn`.

    Raises:
      UserError: there is no such checkpoint.
    """
    if step is None:
        return newest(folder, lambda step: restore_step(folder, step, target), warn)
    if step not in (steps := _some_steps(folder)):
        raise UserError(f"There is no checkpoint of step {step} in {folder}: there are {', '.join(map(str, steps))}.")
    return restore_step(folder, step, target)


def _some_steps(folder: Path) -> list[int]:
    steps = steps_on_disk(folder)
    if not steps:
        raise UserError(f"There is no checkpoint in {folder}: the run was stopped before its first one.")
    return steps


def newest(folder: Path, read: Callable[[int], _Read], warn: Callable[[str], object] = print) -> _Read:
    """Return the result of `read` for the newest step that it can read.

    Raises:
      UserError: no step can be read.
    """
    reasons = []
    for candidate in _some_steps(folder):
        try:
            found = read(candidate)
        except UserError as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            warn(f"{reason} Going back to checkpoint {candidate}.")
        return found
    raise UserError(f"No checkpoint in {folder} can be used. {reasons[0]}")
