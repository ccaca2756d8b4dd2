"""config.json of a GPT-2 of transformers: each field is honored, known to change no logits, or refused by name."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from jaxgen.core.errors import UserError
from jaxgen.core.json_values import shown
from jaxgen.core.types import Json
from jaxgen.data.limits import check_file

CONFIG = "config.json"
ACTIVATIONS: dict[str, Literal["gelu", "gelu_tanh", "relu", "silu"]] = {
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""Transformers' names of activations -> those of our feed-forward parts. The first of several names is written."""
MAX_JSON_BYTES = 64 * 2**20
"""Largest size of config.json and of the index of sharded weights, which names each array."""


class _Field(NamedTuple):
    default: Any
    """The value that transformers uses if the field is missing."""
    fits: Callable[[Any], bool]
    must: str
    """The words that follow "it must be" in an error."""


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value < 2**31


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(cast(float, value))


def _count(default: int) -> _Field:
    return _Field(default, _is_count, "a whole number of at least 1")


def _flag(default: bool) -> _Field:
    return _Field(default, lambda value: type(value) is bool, "true or false")


_HONOURED = {
    "vocab_size": _count(50_257),
    "n_positions": _count(1024),
    "n_embd": _count(768),
    "n_layer": _count(12),
    "n_head": _count(12),
    "n_inner": _Field(None, lambda value: value is None or _is_count(value), "null or a whole number of at least 1"),
    "activation_function": _Field(
        "gelu_new", lambda value: type(value) is str and value in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}"
    ),
    "layer_norm_epsilon": _Field(1e-5, lambda value: _is_number(value) and value > 0, "a number above 0"),
    "scale_attn_weights": _flag(True),
    "scale_attn_by_inverse_layer_idx": _flag(False),
    "tie_word_embeddings": _flag(True),
}
_ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "n_ctx": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Other names of the same fields."""

_RATE = _Field(0.1, lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1")
_ABSENT = _Field(None, lambda value: value in (None, {}), "absent: jaxgen's GPT has no such part")
_OFF = _Field(False, lambda value: value in (None, False), "false: jaxgen's GPT has no such part")
_HEADS = (None, [], ["GPT2LMHeadModel"], ["GPT2Model"])
_DTYPES = (None, "auto", "float16", "bfloat16", "float32", "float64")
_CHECKED = {
    # Rates of dropout are set by --dropout of a run.
    "embd_pdrop": _RATE,
    "attn_pdrop": _RATE,
    "resid_pdrop": _RATE,
    # The softmax is computed in float32 either way.
    "reorder_and_upcast_attn": _flag(False),
    # All weights are read as float32.
    "dtype": _Field(None, lambda value: value in _DTYPES, "float16, bfloat16, float32 or float64"),
    "torch_dtype": _Field(None, lambda value: value in _DTYPES, "float16, bfloat16, float32 or float64"),
    "architectures": _Field(
        None, lambda value: value in _HEADS, '["GPT2LMHeadModel"] or ["GPT2Model"]: jaxgen\'s GPT has no other head'
    ),
    "add_cross_attention": _OFF,
    "is_encoder_decoder": _OFF,
    "cross_attention_hidden_size": _ABSENT,
    "pruned_heads": _ABSENT,
    "per_layer_config": _ABSENT,
    "quantization_config": _ABSENT,
    "auto_map": _Field(None, lambda value: value is None, "absent: jaxgen runs no code of a model's own"),
}
"""Fields that change no logits if they have these values; with other values they describe a model that jaxgen lacks."""
_NO_MATTER = {
    "where the file is from": """
        model_type name_or_path _name_or_path _commit_hash transformers_version tokenizer_class finetuning_task prefix
    """,
    "how transformers computes and returns it": """
        attn_implementation _attn_implementation _attn_implementation_autoset use_cache return_dict output_attentions
        output_hidden_states output_past tie_last_hidden_states torchscript use_bfloat16 tf_legacy_loss
        chunk_size_feed_forward gradient_checkpointing is_decoder tie_encoder_decoder
    """,
    "how its weights begin, and what other heads do": """
        initializer_range n_special predict_special_tokens summary_type summary_use_proj summary_activation
        summary_proj_to_labels summary_first_dropout num_labels _num_labels id2label label2id problem_type
    """,
    "how tokens are drawn": """
        task_specific_params bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id max_length
        min_length do_sample early_stopping num_beams num_beam_groups num_return_sequences temperature top_k top_p
        typical_p diversity_penalty repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
        bad_words_ids output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id suppress_tokens
        begin_suppress_tokens exponential_decay_length_penalty remove_invalid_values
    """,
}
_IGNORED = frozenset(name for names in _NO_MATTER.values() for name in names.split())
"""Fields that change no logits, whatever their values are."""


def read_gpt2_config(folder: Path) -> Json:
    """Return the fields of config.json that define a network (see `check_gpt2_config`).

    Raises:
      UserError: the folder does not exist, is no GPT-2, or has layers that jaxgen's GPT lacks.
    """
    path = Path(folder) / CONFIG
    values = read_json(path)
    if values.get("model_type") != "gpt2":
        found = shown(values["model_type"]) if "model_type" in values else "missing"
        raise UserError(f"{path} describes no GPT-2: model_type is {found}, and only 'gpt2' can be read.")
    return check_gpt2_config(values, path)


def check_gpt2_config(values: Json, source: str | Path) -> Json:
    """Return the fields that define a network, by transformers' names, with its defaults for missing ones.

    Args:
      values: all fields.
      source: where the fields are from, which is named in errors.

    Raises:
      UserError: a field of the wrong type or range, or one that describes another network than jaxgen's GPT.
    """
    facts: Json = {}
    for given, value in values.items():
        name = _ALIASES.get(given, given)
        if (field := _HONOURED.get(name) or _CHECKED.get(name)) is None:
            if name not in _IGNORED:
                raise UserError(
                    f"{source} has the field {shown(given)}, which jaxgen does not know: "
                    "remove it if the network is the same without it."
                )
            continue
        if not field.fits(value):
            raise UserError(f"{source} has {given} = {shown(value)}: it must be {field.must}.")
        if facts.setdefault(name, value) != value:
            raise UserError(f"{source} has {given} = {shown(value)}, but another {name}: {shown(facts[name])}.")
    facts = {name: facts.get(name, field.default) for name, field in _HONOURED.items()}
    if facts["n_embd"] % facts["n_head"]:
        raise UserError(f"{source} has n_embd = {facts['n_embd']}, which n_head = {facts['n_head']} does not divide.")
    return facts


def read_json(path: Path) -> Json:
    """Return the object that a JSON file holds.

    Raises:
      UserError: the file does not exist, or holds something else.
    """
    if check_file(path) > MAX_JSON_BYTES:
        raise UserError(f"{path} has more than {MAX_JSON_BYTES >> 20} MiB: that is no such file of transformers.")
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a folder of transformers.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}): restore it.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object, but {shown(values)}: restore it.")
    return values
