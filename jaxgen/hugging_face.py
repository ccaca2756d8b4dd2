"""GPT-2 in the layout of Hugging Face's transformers: a folder with config.json and model.safetensors.

Nothing is downloaded: the folder is one that a person has.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

from jaxgen.data.vocabulary import TOKENISER_FILE, Subwords, Vocabulary
from jaxgen.errors import UserError
from jaxgen.metrics.weight_files import read_safetensors
from jaxgen.networks.gpt import GPT

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_PREFIX = "transformer."
_MASKS = (".attn.bias", ".attn.masked_bias")
"""Endings of arrays that are no weights: older files hold each block's causal mask."""
_OUTPUT = "lm_head.weight"
"""The embedding once more, in some files."""
_BLOCK_LAYERS = {
    "attention_norm": "ln_1",
    "queries_keys_values": "attn.c_attn",
    "attention_output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "hidden": "mlp.c_fc",
    "output": "mlp.c_proj",
}
_ARRAYS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu"}
"""Our name of the feed-forward part -> theirs."""
_SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")


def read_gpt2_config(folder: Path) -> dict[str, Any]:
    """The facts of config.json that make a network: its sizes and `activation_function`.

    Raises:
      UserError: no such folder, not a GPT-2, or one with layers that jaxgen's GPT lacks.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a folder of transformers.") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): restore it.") from error
    if config.get("model_type") != "gpt2":
        raise UserError(f"{folder} holds a model of type {config.get('model_type')!r}: only gpt2 can be read.")
    activation = config.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS.values():
        raise UserError(f"{folder} has activation_function = {activation!r}, which jaxgen's GPT lacks.")
    supported = {
        "n_inner": (None, 4 * config["n_embd"]),  # which None means
        "scale_attn_weights": (True,),
        "layer_norm_epsilon": (1e-5,),
    }
    for name, fitting in supported.items():
        if config.get(name, fitting[0]) not in fitting:
            raise UserError(
                f"{folder} has {name} = {config[name]!r}, which jaxgen's GPT lacks: only {fitting[0]!r} fits."
            )
    return {**{name: int(config[name]) for name in _SIZES}, "activation_function": activation}


def gpt2_network(config: Mapping[str, Any], **options: Any) -> GPT:
    """The network that `read_gpt2_config` describes; `options` are more of its attributes (`dropout`, `dtype`)."""
    return GPT(
        config["vocab_size"],
        config["n_positions"],
        layers=config["n_layer"],
        heads=config["n_head"],
        width=config["n_embd"],
        use_bias=True,
        feed_forward={theirs: ours for ours, theirs in _ACTIVATIONS.items()}[config["activation_function"]],
        **options,
    )


def load_gpt2(folder: Path) -> tuple[GPT, dict[str, Any]]:
    """A GPT-2 and its weights: `network.apply({"params": params}, tokens, train=False)`.

    Raises:
      UserError: what `read_gpt2_config` says, or weights that do not fit.
    """
    network = gpt2_network(read_gpt2_config(folder))
    path = Path(folder) / WEIGHTS
    state = {name.removeprefix(_PREFIX): array for name, array in read_safetensors(path).items()}
    state = {name: array for name, array in state.items() if not name.endswith(_MASKS) and name != _OUTPUT}
    params = {}
    for name, ours in _names(network.layers).items():
        if name not in state:
            raise UserError(f"{path} does not hold the weights of a GPT-2: {name} is missing.")
        params[ours] = state.pop(name).astype(np.float32)
    if state:
        raise UserError(f"{path} does not hold the weights of a GPT-2 of {network.layers} blocks: it has {min(state)}.")
    if (shape := params["token_embedding",].shape) != (network.vocabulary_size, network.width):
        raise UserError(f"{path} does not fit {CONFIG}: wte.weight has the shape {list(shape)}.")
    return network, unflatten_dict(params)


def save_gpt2(folder: Path, network: GPT, params: Mapping[str, Any], vocabulary: Vocabulary | None = None) -> None:
    """Writes a GPT as a folder that transformers reads as a `GPT2LMHeadModel`; a subword vocabulary as its tokeniser.

    Biases that the network lacks are written as zeros, which is the same.

    Raises:
      UserError: a network that is no GPT-2: rotary positions, RMS norm, another feed-forward part, shared keys; or a
        folder that is not empty.
    """
    check_is_gpt2(network)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder: choose another.")
    given = flatten_dict(params)
    state = {}
    for name, ours in _names(network.layers).items():
        if ours in given:
            state[_PREFIX + name] = np.asarray(given[ours], np.float32, order="C")
        else:
            state[_PREFIX + name] = np.zeros(given[(*ours[:-1], _weight_of(given, ours))].shape[-1], np.float32)
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": network.vocabulary_size,
        "n_positions": network.context,
        "n_embd": network.width,
        "n_layer": network.layers,
        "n_head": network.heads,
        "activation_function": _ACTIVATIONS[network.feed_forward],
        "layer_norm_epsilon": 1e-5,
        "embd_pdrop": network.dropout,
        "attn_pdrop": network.dropout,
        "resid_pdrop": network.dropout,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    if isinstance(vocabulary, Subwords):
        (folder / TOKENISER_FILE).write_text(vocabulary.to_json()["tokeniser"])


def check_is_gpt2(network: GPT) -> None:
    """Refuses what GPT-2's layout cannot hold.

    Raises:
      UserError: it names the option.
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


def _names(layers: int) -> dict[str, tuple[str, ...]]:
    """transformers' names of all arrays, without their prefix -> the paths of ours. Both have kernels [in, out]."""
    names = {"wte.weight": ("token_embedding",), "wpe.weight": ("position_embedding",)}
    for array in ("scale", "bias"):
        names[f"ln_f.{_ARRAYS[array]}"] = ("final_norm", array)
    for i in range(layers):
        for ours, theirs in _BLOCK_LAYERS.items():
            for array in ("scale" if ours.endswith("norm") else "kernel", "bias"):
                names[f"h.{i}.{theirs}.{_ARRAYS[array]}"] = (f"block_{i}", ours, array)
    return names


def _weight_of(params: Mapping[tuple[str, ...], Any], path: tuple[str, ...]) -> str:
    """The name of the array beside a missing bias."""
    return next(name for name in ("kernel", "scale") if (*path[:-1], name) in params)
