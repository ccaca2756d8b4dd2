"""Property-based tests of two sizes: a few examples in the quick suite, many with -m slow."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK_AND_SLOW = pytest.mark.parametrize(
    "examples", [pytest.param(30, id="few"), pytest.param(1_000, id="many", marks=pytest.mark.slow)]
)
"""Gives a test its number of `examples`."""

DEADLINE = timedelta(seconds=60)
"""No input may take longer."""

ODD_TEXTS = st.lists(
    st.sampled_from([*"abé你😀 \n\r\t\0\x0b\x1b\x85\u0301\u2028\ufeff\ufffd\"'\\,;{}[]"]), max_size=60
).map("".join)
"""Texts of letters and of what texts stumble over; `st.text()` would first look at all characters for six seconds."""


def for_all(examples: int, **strategies: Any) -> Callable[[Callable[..., None]], None]:
    """Runs the function that it decorates, at once, on that many examples; the few are the same ones each time."""

    def run(check: Callable[..., None]) -> None:
        how = settings(
            max_examples=examples,
            derandomize=examples < 100,
            deadline=DEADLINE,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        how(given(**strategies)(check))()

    return run
