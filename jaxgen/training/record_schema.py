"""Schema of a run's config.json: every key's type and range, checked when the file is read."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, cast

from jaxgen.core.json_values import from_json, shown
from jaxgen.data.limits import MOST_CLASSES

LARGEST_ARRAY = 2**28
"""Maximum number of values of an example, since shapes from a file must not fill the memory."""
_LONGEST_TEXT = 10_000
_DTYPES = {"bool", "bfloat16", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
_Check = Callable[[object], None]


def check_record(record: object) -> None:
    """Refuse a value that is not a valid record of a run.

    Raises:
      ValueError: a key is wrong; the message says which one, and how.
    """
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    required = ("experiment", "config", "assets", "batch", "versions")
    if missing := [key for key in required if not isinstance(record.get(key), dict)]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    _each(record, _KEYS)
    ours = record["experiment"]["module"] is not None
    _each(record["assets"], _ASSETS | (_ASSETS_OF_THE_PACKAGE if ours else {}), "assets.")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _each(values: Mapping[str, object], checks: Mapping[str, _Check], prefix: str = "") -> None:
    """Call the check of every key that is present, and name the key if it fails."""
    for name, check in checks.items():
        if name in values:
            try:
                check(values[name])
            except ValueError as error:
                said = str(error)
                raise ValueError(f"{prefix}{name}{'' if said.startswith('.') else ' '}{said}") from error


def _is(annotation: type | UnionType) -> _Check:
    def check(value: object) -> None:
        from_json(value, cast(type, annotation))

    return check


def _whole(least: int, most: int = 2**31 - 1) -> _Check:
    def check(value: object) -> None:
        number = from_json(value, int)
        _require(least <= number <= most, f"is {shown(value)}, not between {least} and {most}")

    return check


def _positive(value: object) -> None:
    number = from_json(value, float)
    _require(math.isfinite(number) and number > 0, f"is {shown(value)}, not a number above 0")


def _list_of(check: _Check, least: int, most: int) -> _Check:
    def check_all(value: object) -> None:
        found = from_json(value, list[Any])
        _require(least <= len(found) <= most, f"has {len(found)} entries, not between {least} and {most}")
        for x in found:
            check(x)

    return check_all


def _text(value: object) -> None:
    text = from_json(value, str)
    _require(len(text) <= _LONGEST_TEXT, f"has {len(text)} characters, more than {_LONGEST_TEXT}")


def _or_none(check: _Check) -> _Check:
    def check_some(value: object) -> None:
        if value is not None:
            check(value)

    return check_some


def _shape(value: object) -> None:
    _list_of(_whole(1), 0, 8)(value)
    _require(
        math.prod(from_json(value, list[int])) <= LARGEST_ARRAY, f"is {shown(value)}, more than {LARGEST_ARRAY} values"
    )


def _image_shape(value: object) -> None:
    _list_of(_whole(1), 3, 3)(value)
    _shape(value)
    _require(from_json(value, list[int])[2] <= 4, f"is {shown(value)}, not height, width and 1 to 4 channels")


def _experiment(value: object) -> None:
    value = from_json(value, dict[str, Any])
    for key in ("name", "module", "file"):
        _require(key in value, f"lacks {key}")
    _each(value, {"name": _text, "module": _or_none(_text), "file": _or_none(_file_name)}, ".")


def _file_name(value: object) -> None:
    _text(value)
    _require(value == Path(from_json(value, str)).name != "", f"is {shown(value)}, no file's name")


def _data(value: object) -> None:
    value = from_json(value, dict[str, Any])
    for key in ("name", "examples"):
        _require(key in value, f"lacks {key}")
    counts = {"examples": _whole(1, 2**63), "held_out": _whole(0, 2**63)}
    _each(value, {"name": _text, **counts, "fingerprint": _is(str | None)}, ".")


def _batch(value: object) -> None:
    value = from_json(value, dict[str, dict[str, Any]])
    _require(1 <= len(value) <= 100, f"has {len(value)} arrays")
    for name, entry in value.items():
        _text(name)
        for key in ("shape", "dtype"):
            _require(key in entry, f"lacks {key} of {shown(name)}")
        _shape(entry["shape"])
        from_json(entry["dtype"], str)
        _require(entry["dtype"] in _DTYPES, f"has the dtype {shown(entry['dtype'])}")


def _vocabulary(value: object) -> None:
    value = from_json(value, dict[str, str])
    needs = {"characters": "characters", "bytes": None, "subwords": "tokeniser"}
    _require(value.get("kind") in needs, f"has the kind {shown(value.get('kind'))}")
    key = needs[value["kind"]]
    _require(key is None or bool(value.get(key)), f"lacks {key}")


def _first_stage(value: object) -> None:
    value = from_json(value, dict[str, Any])
    check_record({"versions": {}, **value})
    keys = {"sha256": _sha256, "grid_shape": _shape, "num_codes": _whole(1), "step": _whole(0)}
    for key in keys:
        _require(key in value, f"lacks {key}")
    _each(value, keys, ".")


def _pretrained(value: object) -> None:
    value = from_json(value, dict[str, Any])
    for key in ("class", "kind", "network"):
        _require(key in value, f"lacks {key}")
    network = _is(dict[str, Any])
    _each(value, {"class": _text, "kind": _text, "network": network, "sha256": _sha256, "experiment": _text}, ".")


def _sha256(value: object) -> None:
    _require(isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None, f"is {shown(value)}")


_NAMES = _list_of(_text, 0, MOST_CLASSES)
_KEYS: dict[str, _Check] = {
    "experiment": _experiment,
    "config": _is(dict[str, Any]),  # values are checked by the experiment's options, once these are known
    "data": _data,
    "kind": _text,
    "batch": _batch,
    "versions": _is(dict[str, str]),
    "machine": _is(dict[str, str | float | None]),
}
_ASSETS: dict[str, _Check] = {  # assets that commands use in every run
    "image_shape": _image_shape,
    "class_names": _NAMES,
    "vocabulary": _vocabulary,
    "sample_rate": _whole(1, 1_000_000),
    "caption_length": _whole(1, 1_000_000),
    "prompts": _list_of(_is(str), 1, 10_000),
    "line_end": _whole(0),
    "notation": _is(str | None),
}
_ASSETS_OF_THE_PACKAGE: dict[str, _Check] = {
    "style_names": _NAMES,
    "data_variance": _positive,
    "words": _list_of(_text, 1, MOST_CLASSES),
    "characters": _is(str),
    "lengths": _list_of(_whole(0), 0, MOST_CLASSES),
    "style": _is(str),
    "first_stage": _first_stage,
    "pretrained": _or_none(_pretrained),
}
