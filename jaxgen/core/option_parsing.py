"""Options from a command line, and how `--help` shows them."""

import dataclasses
import functools
import inspect
import itertools
import shutil
import textwrap
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docstring_parser
import tyro

from jaxgen.core import option_groups
from jaxgen.core.options import Options, check_options
from jaxgen.core.terminal import spelled_out

_REGISTRY = tyro.constructors.ConstructorRegistry()


@_REGISTRY.primitive_rule
def _path(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Refuse `Path("")`, which would be the current folder."""
    if info.type is not Path:
        return None

    def path(arguments: list[str]) -> Path:
        if not arguments[0]:
            raise ValueError("a path has at least one character")
        return Path(arguments[0])

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=path,
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda value: [str(value)],
    )


def parse_options(
    cls: type[Options],
    arguments: Sequence[str],
    *,
    prog: str,
    description: str,
    default: Options | None = None,
    first: Sequence[str] = (),
    last: Sequence[str] = (),
) -> Options:
    """Return a dataclass of options, or of groups of options, from a command line.

    If tyro cannot parse the command line, it ends the process with code 2.

    Args:
      default: instance with the values of options that are not given.
      first: groups that `--help` shows first.
      last: groups that `--help` shows last.

    Raises:
      UserError: a value is not in its option's range.
    """
    option_groups.places(cls)  # no name twice
    for group in (cls, *option_groups.groups(cls).values()):
        _let_help_wrap(group)
    shown = option_groups.in_order(cls, first, last)

    def as_(other: type[Options], options: Options) -> Options:
        return other(**{field.name: getattr(options, field.name) for field in option_groups.given_fields(cls)})

    given: dict[str, Any] = {} if default is None else {"default": as_(shown, default)}
    with spelled_out(arguments):
        parsed = tyro.cli(
            shown,
            args=list(arguments),
            prog=prog,
            description=_wrapped(description),
            registry=_REGISTRY,
            config=(tyro.conf.OmitArgPrefixes,),
            **given,
        )
    options = as_(cls, parsed)
    check_options(options)
    return options


def _wrapped(text: str) -> str:
    """Return a docstring with its paragraphs wrapped to the terminal's width; indented lines stay as they are.

    All lines begin with a space, since tyro would join lines that begin with a letter.
    """
    width = shutil.get_terminal_size().columns - 1
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines = []
    for indented, group in itertools.groupby(inspect.cleandoc(text).splitlines(), lambda line: line[:1] in ("", " ")):
        paragraph = list(group)
        lines += paragraph if indented else wrapper.wrap(" ".join(paragraph))
    return "\n".join(f" {line}" if line else "" for line in lines)


@functools.cache
def _let_help_wrap(cls: type) -> None:
    """Pass each option's docstring to tyro as one paragraph, since it would keep the source's line breaks."""
    texts = {parameter.arg_name: parameter.description for parameter in docstring_parser.parse_from_object(cls).params}
    for base in cls.__mro__[1:-1]:
        _let_help_wrap(base)
    for field in dataclasses.fields(cls):
        if (text := texts.get(field.name)) is not None:
            field.metadata = types.MappingProxyType({**field.metadata, "help": " ".join(text.split())})
