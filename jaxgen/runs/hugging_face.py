"""GPT-2 in the layout of Hugging Face's transformers: a folder with config.json and model.safetensors.

Nothing is downloaded: the folder must exist on disk.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

from jaxgen.core.errors import UserError
from jaxgen.core.types import Json, Params
from jaxgen.data.vocabulary import TOKENIZER_FILE, Subwords, Vocabulary
from jaxgen.metrics.weight_files import read_safetensors
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face_config import ACTIVATIONS, CONFIG, check_gpt2_config, read_gpt2_config, read_json

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
"""The index of weights in several files: {"weight_map": {array: file}}."""
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_PREFIX = "transformer."
_MASKS = (".attn.bias", ".attn.masked_bias")
"""Suffixes of arrays that are no weights: older files hold each block's causal mask."""
_OUTPUT = "lm_head.weight"
"""The output's table, if the file has it; with tied embeddings it equals the embedding."""
_BLOCK_LAYERS = {
    "attention_norm": "ln_1",
    "queries_keys_values": "attn.c_attn",
    "attention_output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "hidden": "mlp.c_fc",
    "output": "mlp.c_proj",
}
_DTYPES = ("float16", "bfloat16", "float32", "float64")
"""The types that weights may have; all are read as float32."""


class _Stored(NamedTuple):
    path: Path
    array: np.ndarray


def gpt2_network(config: Json, source: str | Path = "The GPT-2's description", **options: Any) -> GPT:
    """Return the network that `read_gpt2_config` describes.

    Args:
      config: fields of config.json.
      source: where the fields are from, which is named in errors.
      options: more attributes (`dropout`, `dtype`).

    Raises:
      UserError: `check_gpt2_config` refuses the fields.
    """
    facts = check_gpt2_config(config, source)
    return GPT(
        facts["vocab_size"],
        facts["n_positions"],
        layers=facts["n_layer"],
        heads=facts["n_head"],
        width=facts["n_embd"],
        use_bias=True,
        feed_forward=ACTIVATIONS[facts["activation_function"]],
        hidden_width=facts["n_inner"],
        norm_epsilon=facts["layer_norm_epsilon"],
        tie_embeddings=facts["tie_word_embeddings"],
        scale_attention=facts["scale_attn_weights"],
        scale_attention_by_layer=facts["scale_attn_by_inverse_layer_idx"],
        **options,
    )


def load_gpt2(folder: Path) -> tuple[GPT, Params]:
    """Return a GPT-2 and its weights: `network.apply({"params": params}, tokens, train=False)`.

    Raises:
      UserError: `read_gpt2_config` refuses the folder, or weights are missing, unknown, of another shape or dtype, or
        not finite; the file and the array are named.
    """
    folder = Path(folder)
    network = gpt2_network(read_gpt2_config(folder), folder / CONFIG)
    path, state = _read_weights(folder)
    output = state.pop(_OUTPUT, None) if network.tie_embeddings else None
    params = {}
    for name, ours, shape in _arrays_of(network):
        if name not in state:
            raise UserError(f"{path} does not hold the weights that {CONFIG} describes: {name} is missing.")
        params[ours] = _weights(name, state.pop(name), shape)
    if state:
        name = min(state)
        raise UserError(f"{state[name].path} holds {name}, which the network that {CONFIG} describes lacks.")
    table = params["token_embedding",]
    if output is not None and not np.array_equal(_weights(_OUTPUT, output, table.shape), table):
        raise UserError(
            f"{output.path} holds a {_OUTPUT} that differs from wte.weight, but {folder / CONFIG} has "
            "tie_word_embeddings = true: set it to false, or remove that array."
        )
    return network, unflatten_dict(params)


def _read_weights(folder: Path) -> tuple[Path, dict[str, _Stored]]:
    """Return the file to name if an array is missing, and all arrays by name, without masks and prefix."""
    path = folder / WEIGHTS
    if path.is_file() or not (folder / INDEX).is_file():
        _check_not_pickled(folder)
        stored = {name: _Stored(path, array) for name, array in read_safetensors(path).items()}
    else:
        path = folder / INDEX
        stored = _read_shards(path)
    state: dict[str, _Stored] = {}
    for name, array in stored.items():
        short = name.removeprefix(_PREFIX)
        if short in state:
            raise UserError(f"{array.path} holds {short} twice, with and without {_PREFIX!r}: remove one of them.")
        if not short.endswith(_MASKS):
            state[short] = array
    return path, state


def _check_not_pickled(folder: Path) -> None:
    if (folder / WEIGHTS).exists() or not (pickled := [name for name in _PICKLED if (folder / name).exists()]):
        return
    raise UserError(
        f"{folder} has its weights in {pickled[0]} alone, and jaxgen reads {WEIGHTS}: write it with transformers, "
        "GPT2LMHeadModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
    )


def _read_shards(index: Path) -> dict[str, _Stored]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise UserError(f"{index} has no weight_map from arrays to files: restore it.")
    stored: dict[str, _Stored] = {}
    for file in sorted(set(places.values())):
        path = index.parent / file
        if Path(file).name != file or not path.is_file():
            raise UserError(f"{index} names the file {file!r}, which is not there: restore it.")
        arrays = read_safetensors(path)
        if missing := sorted(name for name, place in places.items() if place == file and name not in arrays):
            raise UserError(f"{path} does not hold {missing[0]}, which {INDEX} says it does: restore it.")
        if twice := sorted(stored.keys() & arrays.keys()):
            raise UserError(f"{path} holds {twice[0]}, which {stored[twice[0]].path.name} holds as well: remove one.")
        stored |= {name: _Stored(path, array) for name, array in arrays.items()}
    return stored


def _weights(name: str, stored: _Stored, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array as float32, or refuse one with an unexpected shape, type or value."""
    path, array = stored
    if array.dtype.name not in _DTYPES:
        raise UserError(f"{path} holds {name} as {array.dtype.name}: only {', '.join(_DTYPES)} can be read.")
    if array.shape != shape:
        raise UserError(f"{path} does not fit {CONFIG}: {name} has the shape {list(array.shape)}, not {list(shape)}.")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(
            f"{path} holds numbers in {name} that are not finite in float32: the file is damaged, or its training had "
            "diverged."
        )
    return array


def save_gpt2(folder: Path, network: GPT, params: Params, vocabulary: Vocabulary | None = None) -> None:
    """Write a GPT as a folder that transformers reads as a `GPT2LMHeadModel`.

    A subword vocabulary becomes its tokenizer. Biases that the network lacks are written as zeros, which does not
    change its outputs.

    Raises:
      UserError: the network is no GPT-2 (rotary positions, RMS norm, another feed-forward part, shared keys), or the
        folder is not empty.
    """
    check_is_gpt2(network)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder: choose another.")
    given = flatten_dict(params)
    state = {}
    for name, ours, shape in _arrays_of(network):
        array = np.asarray(given[ours], np.float32, order="C") if ours in given else np.zeros(shape, np.float32)
        state[name if name == _OUTPUT else _PREFIX + name] = array
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": network.vocabulary_size,
        "n_positions": network.context,
        "n_embd": network.width,
        "n_layer": network.layers,
        "n_head": network.heads,
        "n_inner": network.hidden_width,
        "activation_function": next(theirs for theirs, ours in ACTIVATIONS.items() if ours == network.feed_forward),
        "layer_norm_epsilon": network.norm_epsilon,
        "scale_attn_weights": network.scale_attention,
        "scale_attn_by_inverse_layer_idx": network.scale_attention_by_layer,
        "embd_pdrop": network.dropout,
        "attn_pdrop": network.dropout,
        "resid_pdrop": network.dropout,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": network.tie_embeddings,
        "dtype": "float32",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    if isinstance(vocabulary, Subwords):
        (folder / TOKENIZER_FILE).write_text(vocabulary.to_json()["tokeniser"])


def check_is_gpt2(network: GPT) -> None:
    """Refuse a network that GPT-2's layout cannot hold.

    Raises:
      UserError: the network has such an option, which the message names.
    """
    others = {
        "positions": network.positions != "learned",
        "norm": network.norm != "layer",
        "feed_forward": network.feed_forward == "swiglu",
        "key_value_heads": network.key_value_heads not in (None, network.heads),
    }
    if odd := [name for name, differs in others.items() if differs]:
        option = "--" + odd[0].replace("_", "-")
        raise UserError(f"The layout of GPT-2 cannot hold a network with {option} {getattr(network, odd[0])}.")


def _arrays_of(network: GPT) -> Iterator[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Yield (transformers' name without its prefix, our path, shape) of each array. Both have kernels [in, out]."""
    vocabulary, width = network.vocabulary_size, network.width
    yield "wte.weight", ("token_embedding",), (vocabulary, width)
    yield "wpe.weight", ("position_embedding",), (network.context, width)
    yield "ln_f.weight", ("final_norm", "scale"), (width,)
    yield "ln_f.bias", ("final_norm", "bias"), (width,)
    if not network.tie_embeddings:
        yield _OUTPUT, ("output_embedding",), (vocabulary, width)
    inner = network.hidden_width or 4 * width
    sizes = {"queries_keys_values": (width, 3 * width), "hidden": (width, inner), "output": (inner, width)}
    for i in range(network.layers):
        for ours, theirs in _BLOCK_LAYERS.items():
            inputs, outputs = sizes.get(ours, (width, width))
            if ours.endswith("norm"):
                yield f"h.{i}.{theirs}.weight", (f"block_{i}", ours, "scale"), (width,)
            else:
                yield f"h.{i}.{theirs}.weight", (f"block_{i}", ours, "kernel"), (inputs, outputs)
            yield f"h.{i}.{theirs}.bias", (f"block_{i}", ours, "bias"), (outputs,)
