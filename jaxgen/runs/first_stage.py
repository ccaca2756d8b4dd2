"""The first of two stages: a trained run whose codes a second model learns, copied into the second run whole."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.core.state import TrainState
from jaxgen.core.types import Json, Tree, Variables, present
from jaxgen.data.dataset import Dataset
from jaxgen.data.splits import recorded
from jaxgen.models.autoregressive.grids import Tokenizer
from jaxgen.runs.experiment_loading import load_experiment
from jaxgen.runs.opened_run import Run, build_recorded, open_run, restore_run, state_shapes
from jaxgen.runs.run_data import load_run_data
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.config import TrainConfig


def describe_first_stage(run_dir: Path) -> Json:
    """What the second run keeps of the first among its assets, so that it can be opened where the first is not.

    The first run's record, the step of its latest checkpoint, the SHA-256 of that state, and the sizes of its codes.

    Raises:
      UserError: not a run, no checkpoint, or a model without discrete codes.
    """
    run = open_run(run_dir)
    name = run.name
    if run.model.codes is None:
        raise UserError(f"--first-stage {run_dir} is a run of {name}, which has no codes: name one of a VQ-VAE.")
    if run.record["experiment"]["module"] is None:
        raise UserError(f"--first-stage {run_dir} is a run of {name}, which is not one of the package's experiments.")
    state = restore_run(run)
    batch = {"image": jnp.zeros((1, *run.record["batch"]["image"]["shape"])), "index": jnp.zeros(1, jnp.uint32)}
    codes = jax.eval_shape(run.model.codes.draw, state, jax.random.key(0), batch)
    return {
        **{key: run.record[key] for key in ("experiment", "config", "assets", "kind", "batch")},
        "step": int(state.step),
        "sha256": checkpoint.digest(state),
        "grid_shape": list(codes.shape[1:]),
        "num_codes": len(state.model_state["codebook"]["counts"]),
    }


def first_stage_of(config: TrainConfig, folder: Path) -> Json:
    """What `describe_first_stage` says of a folder where a run begins.

    A run that is resumed keeps the first stage that it began with, whatever became of the folder since.
    """
    if config.run.resume:
        return run_folder.kept_asset(present(config.run.run_dir), "first_stage")
    return describe_first_stage(folder)


def load_first_stage_data(described: Json, folder: Path) -> Dataset:
    """Return the data that the first stage, which is described and lies in `folder`, was trained on.

    They are divided as the first stage has it. A second run that is opened again has recorded that itself.

    Raises:
      UserError: they have changed since.
    """
    if recorded() is None:
        return load_run_data(open_run(folder), unchanged=True)
    run = _open(described)
    return present(run.experiment).load_data(run.config)


def first_stage_tokenizer(described: Json, run_dir: Path) -> Tokenizer:
    """Codes as tokens, by a first stage's networks, which are read from `run_dir` where a second run begins.

    A run that goes on, or is opened, has them in its own checkpoint: then only their shapes are asked for, and what
    `run_dir` holds by now does not matter.
    """
    run = _open(described)
    found = read_again(described, run_dir)  # here, since checkpoints cannot be read while a function is traced

    def load() -> Variables:
        if found is not None:
            return _frozen(found[1], described["sha256"])
        return unknown_arrays(_frozen(state_shapes(run), described["sha256"]))

    def thaw(frozen: Variables) -> TrainState:
        networks = {name: frozen[name] for name in ("params", "model_state", "ema_params")}
        return TrainState(step=jnp.zeros((), jnp.int32), key=jax.random.key(0), opt_state={}, **networks)

    codes = present(run.model.codes)
    return Tokenizer(
        load=load,
        encode=lambda frozen, key, batch: codes.draw(thaw(frozen), key, batch),
        decode=lambda frozen, tokens: codes.decode(thaw(frozen), tokens),
    )


def unknown_arrays(shapes: Tree) -> Tree:
    """Arrays of these shapes in place of those that are not known: a checkpoint's take their place.

    Not zeros: a state that is kept without having been restored is refused as not finite.
    """
    return jax.tree.map(
        lambda s: jnp.full(s.shape, jnp.nan if jnp.issubdtype(s.dtype, jnp.floating) else 0, s.dtype), shapes
    )


def read_again(described: Json, run_dir: Path) -> tuple[Run, TrainState] | None:
    """The run whose state has the described `sha256`, or None where the folder does not hold it any more."""
    try:
        run = open_run(run_dir)
        state = restore_run(run)
    except UserError:
        return None
    return (run, state) if checkpoint.digest(state) == described["sha256"] else None


def _frozen(state: TrainState, sha256: str) -> Variables:
    """What of a state its functions need, and the hash of where it came from, uint8 [32]."""
    networks = {"params": state.params, "model_state": state.model_state, "ema_params": state.ema_params}
    return {**networks, "sha256": np.frombuffer(bytes.fromhex(sha256), np.uint8)}


def _open(described: Json) -> Run:
    experiment = load_experiment(described["experiment"]["module"], None)
    config, model = build_recorded(experiment, described, "the first stage's record")
    return Run(Path(), dict(described), experiment, config, model)
