"""Checkpoints: the whole TrainState and the run's JSON, atomic, asynchronous, and checked when read.

Orbax writes them. Two things are added: a digest over every byte of the state, since damaged array files restore
silently with wrong values; and reading falls back to the newest checkpoint that is whole.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgen.errors import UserError
from jaxgen.training.state import TrainState

FOLDER = "checkpoints"
WEIGHTS = ("params", "model_state", "ema_params")
"""What of a state another run can begin from."""

_Read = TypeVar("_Read")


def open_checkpoints(folder: Path, *, keep: int = 2, keep_every: int | None = None) -> ocp.CheckpointManager:
    """The manager of a folder `STEP/` per checkpoint: the last `keep`, and every step divisible by `keep_every`.

    What a killed process left half-written is removed.
    """
    folder = Path(folder).absolute()
    if folder.is_dir():
        for leftover in folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(leftover, ignore_errors=True)  # another process may be at it too
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(max_to_keep=keep, keep_period=keep_every, create=True),
    )


def _array(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def _arrays(state: TrainState) -> list[tuple[str, np.ndarray]]:
    """(path, array) of every leaf, keys as their data, in a fixed order."""
    return [(jax.tree_util.keystr(path), _array(x)) for path, x in jax.tree_util.tree_flatten_with_path(state)[0]]


def by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by paths such as generator/Dense_0/kernel, which do not tell what kind of nodes it has."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _sha256(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Of names, types, shapes and bytes."""
    sha = hashlib.sha256()
    for path, array in arrays:
        sha.update(f"{path}|{array.dtype}|{array.shape}|".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # a view, since bfloat16 has no buffer
    return sha.hexdigest()


def digest(state: TrainState) -> str:
    """SHA-256 over the names, types, shapes and bytes of all leaves: equal digests, equal bits."""
    return _sha256(_arrays(state))


def _weights_digest(weights: Any) -> str:
    """The same of what `WEIGHTS` names, whatever nodes they were read into."""
    return _sha256(sorted((path, _array(leaf)) for path, leaf in by_path(weights).items()))


def all_finite(state: TrainState) -> bool:
    """Whether every floating-point value of the state is finite."""
    return all(
        bool(np.isfinite(array).all()) for _, array in _arrays(state) if jnp.issubdtype(array.dtype, jnp.inexact)
    )


def save(manager: ocp.CheckpointManager, state: TrainState, record: dict[str, Any]) -> None:
    """Starts to write the state and `record` (JSON-able) as checkpoint `state.step`; returns before it is on disk."""
    step = int(state.step)
    if jax.default_backend() == "cpu":
        # On a CPU the writer would read the very buffers that the next dispatch is given to overwrite.
        state = jax.tree.map(jnp.copy, state)
    weights = {name: getattr(state, name) for name in WEIGHTS}
    digests = {"digest": digest(state), "weights_digest": _weights_digest(weights)}
    manager.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            run=ocp.args.JsonSave({**record, "step": step, **digests}),
        ),
    )


def steps_on_disk(folder: Path) -> list[int]:
    """The steps of which there is a finished checkpoint folder, newest first."""
    folder = Path(folder)
    names = [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def set_aside_later(folder: Path, step: int) -> None:
    """Renames the checkpoints behind `step`, which could not be read, to `STEP.damaged`.

    A run that goes on from `step` comes to theirs again, and orbax silently saves nothing up to the latest it sees.
    """
    for later in steps_on_disk(folder):
        if later > step:
            aside = folder / f"{later}.damaged"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(later)).rename(aside)


def restore_step(folder: Path, step: int, target: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """Checkpoint `step` of a folder, checked against its digest.

    Args:
      target: a state (or `jax.ShapeDtypeStruct`s, with shardings where they matter) of the shapes to restore.

    Raises:
      UserError: the checkpoint is incomplete, damaged, or of another model.
    """
    path = Path(folder).absolute() / str(step)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader:
        run = _read_run(reader, path)
        try:
            state = reader.restore(path, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))["state"]
        except Exception as error:
            raise UserError(
                f"Checkpoint {step} in {folder} cannot be read as this model's state: it is damaged or was made with "
                f"other network settings ({type(error).__name__})."
            ) from error
    if digest(state) != run["digest"]:
        raise _damaged(path)
    return state, run


def restore_weights(folder: Path, step: int) -> dict[str, dict[str, np.ndarray]]:
    """What `WEIGHTS` names of checkpoint `step`, whatever model it is of: arrays by their paths, checked.

    Raises:
      UserError: the checkpoint is incomplete, damaged, or too old to have a digest of its weights.
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
            types = jax.tree.map(lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
            how = ocp.args.PyTreeRestore(item=shapes, restore_args=types, partial_restore=True)
            weights = reader.restore(path, args=ocp.args.Composite(state=how))["state"]
        except Exception as error:
            raise UserError(f"Checkpoint {step} in {folder} cannot be read ({type(error).__name__}).") from error
    if _weights_digest(weights) != run["weights_digest"]:
        raise _damaged(path)
    return {name: by_path(weights[name]) for name in WEIGHTS}


def _read_run(reader: ocp.Checkpointer, path: Path) -> dict[str, Any]:
    try:
        return reader.restore(path, args=ocp.args.Composite(run=ocp.args.JsonRestore()))["run"]
    except Exception as error:
        raise UserError(f"Checkpoint {path.name} in {path.parent} is incomplete ({type(error).__name__}).") from error


def _damaged(path: Path) -> UserError:
    return UserError(
        f"Checkpoint {path.name} in {path.parent} is damaged: its bytes do not match the digest saved with it."
    )


def restore_latest(
    folder: Path, target: TrainState, warn: Any = print, step: int | None = None
) -> tuple[TrainState, dict[str, Any]]:
    """The newest whole checkpoint (or checkpoint `step`) and its JSON; says through `warn` what it had to pass over.

    Raises:
      UserError: there is none.
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


def newest(folder: Path, read: Callable[[int], _Read], warn: Callable[[str], Any] = print) -> _Read:
    """What `read` gives of the newest step that it can read.

    Raises:
      UserError: there is none.
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
