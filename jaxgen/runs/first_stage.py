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
    """Return what the second run keeps of the first in its assets, so that it can be opened without the first.

    This is the first run's record, the step of its latest checkpoint, the SHA-256 of that state, and the sizes of its
    codes.

    Raises:
      UserError: the folder is not a run, has no checkpoint, or its model has no discrete codes.
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
    """Return `describe_first_stage` of the option's folder for a new run.

    A resumed run keeps the first stage that it began with, even if the folder has changed since.
    """
    if config.run.resume:
        return run_folder.kept_asset(present(config.run.run_dir), "first_stage")
    return describe_first_stage(folder)


def load_first_stage_data(described: Json, folder: Path) -> Dataset:
    """Return the data that the described first stage in `folder` was trained on.

    They are split as in the first stage. A second run that is opened again has recorded the split itself.

    Raises:
      UserError: the data have changed since.
    """
    if recorded() is None:
        return load_run_data(open_run(folder), unchanged=True)
    run = _open(described)
    return present(run.experiment).load_data(run.config)


def first_stage_tokenizer(described: Json, run_dir: Path) -> Tokenizer:
    """Return the tokenizer whose tokens are the codes of a first stage.

    A new second run reads the first stage's networks in `run_dir`. A run that is resumed or opened has the networks in
    its own checkpoint: then only their shapes are needed, and the content of `run_dir` does not matter.
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
    """Return placeholders for arrays that a checkpoint will provide.

    They are not zeros, so that a state which is used without having been restored is refused as not finite.
    """
    return jax.tree.map(
        lambda s: jnp.full(s.shape, jnp.nan if jnp.issubdtype(s.dtype, jnp.floating) else 0, s.dtype), shapes
    )


def read_again(described: Json, run_dir: Path) -> tuple[Run, TrainState] | None:
    """Return the run whose state has the described `sha256`, or None if the folder no longer holds it."""
    try:
        run = open_run(run_dir)
        state = restore_run(run)
    except UserError:
        return None
    return (run, state) if checkpoint.digest(state) == described["sha256"] else None


def _frozen(state: TrainState, sha256: str) -> Variables:
    """Return the parts of a state that the model's functions need, and the hash of the whole state, uint8 [32]."""
    networks = {"params": state.params, "model_state": state.model_state, "ema_params": state.ema_params}
    return {**networks, "sha256": np.frombuffer(bytes.fromhex(sha256), np.uint8)}


def _open(described: Json) -> Run:
    experiment = load_experiment(described["experiment"]["module"], None)
    config, model = build_recorded(experiment, described, "the first stage's record")
    return Run(Path(), dict(described), experiment, config, model)
