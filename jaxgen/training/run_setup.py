"""The start of a run: a new one, one with another run's weights, or a resumed one."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Json, Tree
from jaxgen.data.dataset import Dataset, described, example_batch
from jaxgen.data.identity import Identity
from jaxgen.training import checkpoint, checkpoint_folder, data_record, run_folder, trusted
from jaxgen.training.config import TrainConfig, config_from_json, config_to_json
from jaxgen.training.parallel import describe_machine, replicate
from jaxgen.training.run_lock import lock_run

_OF_THIS_CALL = {
    "resume": False,
    "overwrite": False,
    "run_dir": None,
    "coordinator": None,
    "num_processes": None,
    "process_id": None,
}
"""Options of one call rather than of the run, which are not recorded."""


@dataclass
class RunSetup:
    """The start of a run: its folder, state and record."""

    run_dir: Path
    state: TrainState
    """The state, on every device of the mesh."""
    record: Json
    """The content of config.json, and of every checkpoint's JSON."""
    totals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Metrics (sum, weight) since the last line of metrics.jsonl, if a restored run has any."""
    best: dict[str, Any] = field(default_factory=dict)
    """The best value of --best-metric so far: metric, value, step."""
    messages: list[str] = field(default_factory=list)
    """Messages for the user about the folder and the checkpoints that were read."""
    locks: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """The right to write to the folder, which the first process holds until this is closed."""


class _Asked(NamedTuple):
    """Arguments of `start_run`, and values derived from them."""

    model: GenerativeModel
    batch: Batch
    """Two examples."""
    config: TrainConfig
    mesh: Mesh
    root: Path
    """Folder of runs without a `run_dir`."""
    record: Json
    identity: Identity | None
    """Identity of the data."""
    locks: contextlib.ExitStack


def start_run(
    model: GenerativeModel, data: Dataset, config: TrainConfig, mesh: Mesh, *, name: str, experiment: Json
) -> RunSetup:
    """Create or open the run's folder and its state, and truncate the folder's content to the state's step.

    Raises:
      UserError: there is no run to resume, options differ from the run's, or the folder must not be overwritten.
    """
    batch, identity = example_batch(data, 2), data_record.identity_of(data)
    record = {
        "experiment": {**experiment, "file": Path(experiment["file"]).name if experiment["file"] else None},
        "config": {**config_to_json(config), **data_record.absolute_data(config), **_OF_THIS_CALL},
        "data": data_record.describe_data(data, identity),
        "assets": data.assets,
        "kind": data.kind,
        "batch": {key: {"shape": [*x.shape[1:]], "dtype": str(x.dtype)} for key, x in batch.items()},
        "versions": {name: version(name) for name in ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint")},
        "machine": describe_machine(mesh),
    }
    with contextlib.ExitStack() as locks:  # released if anything fails
        asked = _Asked(model, batch, config, mesh, Path("runs") / name, record, identity, locks)
        start = _resume(asked) if config.run.resume else _begin(asked)
        start.messages[:0] = [described(data), *data.notes]
        if jax.process_index() == 0:
            _write_beginning(start, experiment["file"], identity)
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices("the run folder is ready")
        start.locks = locks.pop_all()
    return start


def _write_beginning(start: RunSetup, file: str | None, identity: Identity | None) -> None:
    """Write the files that a run's folder has before its first step, and remove what was recorded after its state."""
    run_dir, step = start.run_dir, int(start.state.step)
    try:
        data_record.write_items(run_dir, identity)
        run_folder.write_json(run_dir / run_folder.CONFIG, start.record)
        start.messages += run_folder.truncate_after(run_dir, step)
        checkpoint_folder.quarantine_newer(run_dir / checkpoint.FOLDER, step)
        if file is not None:
            content = Path(file).read_bytes()
            files.write_atomically(run_dir / run_folder.EXPERIMENT, content)
            trusted.remember(content)
    except OSError as error:
        raise _cannot_write(run_dir, error) from error


def _resume(asked: _Asked) -> RunSetup:
    config, record = asked.config, asked.record
    run_dir, said = _locked_by_first_process(asked.locks, lambda: run_folder.find(config.run.run_dir, asked.root))
    run_folder.check_links(run_dir)
    old = run_folder.read_record(run_dir)
    old_config = config_from_json(config, old["config"], str(run_dir / run_folder.CONFIG))
    messages = data_record.check_resumed(run_dir, old, record, asked.identity, (old_config, config))
    record["config"]["init_from"] = old["config"].get("init_from")
    shapes = jax.eval_shape(asked.model.init, jax.random.key(config.run.seed), asked.batch)
    target = with_sharding(shapes, asked.mesh)
    messages += said + _say_other_bits(old, record)
    state, saved = checkpoint.restore_latest(run_dir / checkpoint.FOLDER, target, warn=messages.append)
    if int(state.step) >= config.run.steps:
        raise UserError(
            f"The run in {run_dir} already has its {int(state.step)} steps: ask for more with --steps, or look at it "
            f"with 'jaxgen info {run_dir}'."
        )
    totals = {name: (total, weight) for name, (total, weight) in saved.get("totals", {}).items()}
    return RunSetup(run_dir, state, record, totals, saved.get("best", {}), messages)


def _say_other_bits(old: Json, record: Json) -> list[str]:
    """Return a message if a resumed run will not end in the bits of a run without a stop."""
    changed = [
        f"{name} {old[part][name]} before and {value} now"
        for part in ("versions", "machine")
        for name, value in record[part].items()
        if old.get(part, {}).get(name, value) != value
    ]
    if not changed:
        return []
    return [f"The run goes on elsewhere, not to the same bits as without a stop: {', '.join(changed)}."]


def _begin(asked: _Asked) -> RunSetup:
    config = asked.config
    # Create the state before the folder, so that a failure here leaves no folder.
    state = jax.jit(asked.model.init)(jax.random.key(config.run.seed), asked.batch)
    if config.run.init_from is not None:
        state = load_pretrained_weights(state, config.run.init_from)
    state = replicate(asked.mesh, state)
    run_dir, said = _locked_by_first_process(
        asked.locks,
        lambda: run_folder.create(config.run.run_dir, asked.root, overwrite=config.run.overwrite),
        clear=config.run.overwrite,
    )
    return RunSetup(run_dir, state, asked.record, messages=said)


def with_sharding(target: TrainState, mesh: Mesh) -> TrainState:
    """Return the shapes of a state, sharded as whole on every device of the mesh, as a target for restoring."""
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), target)


def load_pretrained_weights(state: TrainState, run_dir: Path) -> TrainState:
    """Return `state` with the parameters, model state and averages of another run's latest checkpoint.

    The networks must be the same. Parts that the other run lacks start anew: averages from the loaded parameters, a
    part of the model state (the probability of an adaptive augmentation) as it is in `state`. "frozen" networks (a
    first stage, the style of a picture) are those given to this run.

    Raises:
      UserError: the folder is not a run, or its networks have other shapes.
    """
    run_folder.read_record(run_dir)
    folder = run_dir / checkpoint.FOLDER
    found = checkpoint.newest(folder, lambda step: checkpoint.restore_weights(folder, step))
    here, there = checkpoint.by_path(state.params), found["params"]
    for name in sorted({*here, *there}):
        shapes = [tree[name].shape if name in tree else "nothing" for tree in (there, here)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"--init-from {run_dir} was made with other network settings: {name} is {shapes[0]} there and "
                f"{shapes[1]} here."
            )
    params = _filled(state.params, there)
    averages = {
        name: _filled_if_whole(average, _below(found["ema_params"], name)) or jax.tree.map(jnp.copy, params[name])
        for name, average in state.ema_params.items()
    }
    model_state = {
        name: part if name == "frozen" else _filled_if_whole(part, _below(found["model_state"], name)) or part
        for name, part in state.model_state.items()
    }
    return state.replace(params=params, model_state=model_state, ema_params=averages)


def _below(leaves: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return the leaves whose paths begin with a name, by the rest of their paths."""
    return {path.removeprefix(name).removeprefix("/"): x for path, x in leaves.items() if path.split("/")[0] == name}


def _filled(tree: Tree, leaves: dict[str, np.ndarray]) -> Tree:
    """Return `tree` with its leaves replaced by the values of these paths."""
    return jax.tree.unflatten(
        jax.tree.structure(tree), [jnp.asarray(leaves[path]) for path in checkpoint.by_path(tree)]
    )


def _filled_if_whole(tree: Tree, leaves: dict[str, np.ndarray]) -> Tree | None:
    """Return `tree` with its leaves replaced, or None if the paths or shapes differ from its own."""
    here = {path: x.shape for path, x in checkpoint.by_path(tree).items()}
    return _filled(tree, leaves) if here == {path: x.shape for path, x in leaves.items()} else None


def _locked_by_first_process(
    locks: contextlib.ExitStack, choose: Callable[[], Path], *, clear: bool = False
) -> tuple[Path, list[str]]:
    """Return the folder that process 0 chooses and locks (and with `clear` empties of an earlier run), and messages."""
    messages = []

    def make() -> Path:
        run_dir = choose()
        try:
            lock = lock_run(run_dir)
        except OSError as error:
            raise _cannot_write(run_dir, error) from error
        locks.callback(lock.release)
        if lock.message is not None:
            messages.append(lock.message)
        if clear:
            run_folder.clear(run_dir)
        return run_dir

    return _chosen_by_first_process(make), messages


def _cannot_write(run_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"The run folder {run_dir} cannot be written ({files.explain(error)}): mend that, or name another --run-dir."
    )


def _chosen_by_first_process(make: Callable[[], Path]) -> Path:
    """Return a path made by process 0 and broadcast to all processes."""
    if jax.process_count() == 1:
        return make()
    from jax.experimental import multihost_utils

    text = np.zeros(4096, np.uint8)
    if jax.process_index() == 0:
        try:
            encoded = os.fsencode(make())
        except UserError as error:
            encoded = b"!" + os.fsencode(str(error)[: len(text) // 4 - 1])  # at most 4 bytes a character
        text[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    answer = os.fsdecode(bytes(np.asarray(multihost_utils.broadcast_one_to_all(jnp.asarray(text)))).rstrip(b"\0"))
    if answer.startswith("!"):
        raise UserError(answer[1:])
    return Path(answer)
