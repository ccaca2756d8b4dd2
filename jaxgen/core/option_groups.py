"""Options in groups: a frozen dataclass whose fields are dataclasses of options, accessed by the options' names alone.

    @dataclass(frozen=True)
    class Config(TrainConfig):          # TrainConfig has the groups run, reports, evaluation and hardware
        network: NetworkOptions = NetworkOptions()

A field that is not a dataclass is a single option, unless it is computed (`init=False`). No two groups of a config have
an option of the same name, so that command lines and config.json need no names of groups.
"""

import dataclasses
import functools
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from jaxgen.core.errors import UserError, nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")


@functools.cache
def groups(cls: type) -> Mapping[str, type]:
    """Return the groups among a config's fields: their dataclasses by the fields' names."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if _is_group(hints[field.name])}


@functools.cache
def places(cls: type) -> Mapping[str, str | None]:
    """Return the options of a config, each with its group (None: it is a field of the config itself).

    Raises:
      UserError: two groups have an option of the same name, or a group has groups.
    """
    found: dict[str, str | None] = {}
    for field in given_fields(cls):
        group = groups(cls).get(field.name)
        if group is not None and (inner := list(groups(group))):
            raise UserError(
                f"{group.__name__}, the group {field.name} of {cls.__name__}, has a group in it, {inner[0]}: make that "
                f"a field of {cls.__name__}."
            )
        for name in [field.name] if group is None else [option.name for option in given_fields(group)]:
            if name in found:
                raise UserError(
                    f"{cls.__name__} declares the option {name} twice, in {found[name] or 'the config'} and in "
                    f"{'the config' if group is None else field.name}: keep the first, and give another default as a "
                    f"value, {cls.__name__}().replace({name}=...)."
                )
            found[name] = None if group is None else field.name
    return found


def given_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields that are given when a dataclass is made."""
    return [field for field in dataclasses.fields(cls) if field.init]


def value(config: "DataclassInstance", name: str, default: object = None) -> Any:
    """Return an option's value by its name, or `default` if the config has no such option."""
    if name not in places(type(config)):
        return default
    group = places(type(config))[name]
    return getattr(config if group is None else getattr(config, group), name)


def values(config: "DataclassInstance") -> dict[str, Any]:
    """Return all options of a config by name."""
    return {name: value(config, name) for name in places(type(config))}


def replace(config: Config, **options: object) -> Config:
    """Return `config` with other values of some options, whichever groups they are in, or with other groups.

    Raises:
      TypeError: the config has no such option.
    """
    inside: dict[str, dict[str, Any]] = {}
    changes: dict[str, Any] = {}
    known = places(type(config))
    for name, new in options.items():
        if isinstance(new, groups(type(config)).get(name, ())):
            changes[name] = new
            continue
        if name not in known:
            raise TypeError(f"{type(config).__name__} has no option {name!r}{nearest(name, known)}.")
        group = known[name]
        if group is None:
            changes[name] = new
        else:
            inside.setdefault(group, {})[name] = new
    for group, new_values in inside.items():
        changes[group] = dataclasses.replace(changes.get(group, getattr(config, group)), **new_values)
    return dataclasses.replace(config, **changes)


def in_order(cls: type[Config], first: Sequence[str], last: Sequence[str]) -> type[Config]:
    """Return a class of the same fields in another order, the one that help shows.

    Args:
      first: fields at the beginning; those that the class lacks are ignored.
      last: fields at the end.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    others = [name for name in fields if name not in first and name not in last]
    order = [name for name in (*first, *others, *last) if name in fields]
    reordered = {"__dataclass_fields__": {name: fields[name] for name in order}}
    return cast(type[Config], type(cls.__name__, (cls,), reordered))


def _is_group(hint: object) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)
