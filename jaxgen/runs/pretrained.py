"""Pretrained weights of models of text: from a run of such a model, or from a GPT-2 of transformers."""

from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.types import Json, Params, present
from jaxgen.data.vocabulary import TOKENIZER_FILE, Subwords, find_vocabulary
from jaxgen.networks.gpt import GPT
from jaxgen.runs.first_stage import read_again, unknown_arrays
from jaxgen.runs.hugging_face import load_gpt2
from jaxgen.runs.hugging_face_config import CONFIG, read_gpt2_config, read_json
from jaxgen.runs.opened_run import open_run, restore_run
from jaxgen.training import checkpoint


def describe_pretrained(folder: Path) -> tuple[Json, Json]:
    """Return what a run keeps of its pretrained network in its assets, so that it can be opened without that.

    The result is (description of the network, vocabulary as JSON). The description has the network's `class`, `kind`
    "run" or "gpt2", and the options of the run or the fields of the GPT-2; for a run also its name, its step and the
    SHA-256 of its state.

    Raises:
      UserError: the folder is neither, is a run of another kind of model, or a GPT-2 that `load_gpt2` refuses, that has
        no tokenizer, or whose tokenizer and vocabulary differ in size.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise UserError(f"--pretrained {folder} is neither a run nor a GPT-2 of transformers (no {CONFIG} there).")
    fields = read_json(folder / CONFIG)
    if "model_type" in fields:
        return _describe_gpt2(folder)
    if "experiment" not in fields:
        raise UserError(
            f"--pretrained {folder} is neither a run nor a GPT-2 of transformers: its {CONFIG} has no model_type."
        )
    run = open_run(folder)
    tokens = run.model.tokens
    if tokens is None or tokens.network_params is None:
        raise UserError(f"--pretrained {folder} is a run of {run.name}, which is no model of text.")
    state, assets = restore_run(run), run.record["assets"]
    # A run that began from another run has that run's network.
    own = {"class": type(tokens.network).__name__, "kind": "run", "network": run.record["config"]}
    network = {name: (assets["pretrained"] or own)[name] for name in own}
    facts = {"experiment": run.name, "step": int(state.step), "sha256": checkpoint.digest(state)}
    return {**network, **facts}, assets["vocabulary"]


def _describe_gpt2(folder: Path) -> tuple[Json, Json]:
    facts = read_gpt2_config(folder)
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise UserError(
            f"--pretrained {folder} has no {TOKENIZER_FILE}, which says how text becomes its tokens: write it with "
            "transformers, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    vocabulary = find_vocabulary(str(path), "")
    assert isinstance(vocabulary, Subwords)
    size, last = facts["vocab_size"], max(vocabulary.tokenizer.get_vocab().values(), default=-1)
    if vocabulary.size != size or last >= size:
        upto = f" up to number {last:,}" if last >= vocabulary.size else ""
        raise UserError(
            f"{path} has {vocabulary.size:,} tokens{upto}, but {folder / CONFIG} has vocab_size = {size:,}: give the "
            "folder the tokenizer that it was trained with, or its model as many tokens (transformers: "
            "model.resize_token_embeddings(len(tokenizer)))."
        )
    load_gpt2(folder)  # refused here, before there is a run
    return {"class": GPT.__name__, "kind": "gpt2", "network": facts}, vocabulary.to_json()


def pretrained_params(described: Json, folder: Path, network: nn.Module) -> Callable[[], Params]:
    """Return `load()`, which returns the params of the described network.

    A run that is resumed or opened has them in its own checkpoint: if the folder no longer holds them, they are
    placeholders of the right shapes that no checkpoint accepts.
    """
    params = _read(described, folder)  # here, since files cannot be read while a function is traced
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    shapes = jax.eval_shape(lambda key, x: network.init(key, x, train=False), jax.random.key(0), tokens)["params"]
    if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, shapes):
        return lambda: unknown_arrays(shapes)
    return lambda: present(params)


def _read(described: Json, folder: Path) -> Params | None:
    if "sha256" in described:
        found = read_again(described, folder)
        return None if found is None else present(present(found[0].model.tokens).network_params)(found[1])
    try:
        return load_gpt2(folder)[1]
    except UserError:
        return None
