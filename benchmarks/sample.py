"""Tokens a second that networks draw one by one, early in a sequence and late in it.

    python benchmarks/sample.py --json results.json

Sequences of samples or tokens by jaxgen's own decoding, with random weights (the work is the same). Compilation is left
out. A network with a cache of fixed size takes as long for each at any position. See README.md.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import tyro
from common import chosen, machine

from jaxgen.data import example_batch
from jaxgen.experiments import spoken_wavenet
from jaxgen.models.decoding import Decoding
from jaxgen.training.state import GenerativeModel


class Entry(NamedTuple):
    """A model that draws sequences."""

    build: Callable[[], tuple[GenerativeModel, Any]]
    """-> (model, a batch for its `init`)."""
    positions: tuple[int, ...]
    """Where in the sequence its speed is measured."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Measures how fast networks draw."""

    only: str = ""  # names of entries, with commas between them; all where empty
    sequences: int = 1  # drawn side by side
    count: int = 1_000  # tokens of each measurement
    repeats: int = 5  # how often each is measured, in turn
    json: Path | None = None  # file for the results


def main() -> None:
    config = tyro.cli(Config)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    rows = []
    for name in chosen(config.only, list(ENTRIES), "entry"):
        seconds = measured(ENTRIES[name], config)
        for position, times in seconds.items():
            rate = config.sequences * config.count / statistics.median(times)
            rows.append({"name": name, "position": position, "tokens_per_second": rate, "seconds": times})
            print(f"{name:<12}at position {position:<8}{rate:>10,.0f} tokens a second", flush=True)
    if config.json:
        settings = {"sequences": config.sequences, "count": config.count}
        config.json.write_text(json.dumps({"machine": about, **settings, "rows": rows}, indent=1) + "\n")


def measured(entry: Entry, config: Config) -> dict[int, list[float]]:
    """Of each position, the seconds that `count` tokens from it on took, each time."""
    model, batch = entry.build()
    state = jax.jit(model.init)(jax.random.key(0), batch)
    functions = model.functions
    condition = functions["conditions"](config.sequences) if "conditions" in functions else ()
    advance = jax.jit(functions["advance"])
    prompts = jnp.full((config.sequences, 1), functions["first_token"](), jnp.int32)
    num_tokens = max(entry.positions) + config.count
    lengths = [1] * config.sequences
    decoding = functions["begin"](state, jax.random.key(1), prompts, lengths, num_tokens, *condition)
    begun: dict[int, Decoding] = {}
    for position in sorted(entry.positions):
        decoding = begun[position] = advance(state, decoding, position - int(decoding.position), None, *condition)
    seconds: dict[int, list[float]] = {position: [] for position in begun}
    for _ in range(config.repeats):
        for position, decoding in begun.items():
            start = time.perf_counter()
            jax.block_until_ready(advance(state, decoding, config.count, None, *condition))
            seconds[position].append(time.perf_counter() - start)
    return seconds


def wavenet() -> tuple[GenerativeModel, Any]:
    """The default network of spoken_wavenet."""
    config = spoken_wavenet.EXPERIMENT.presets["default"]
    data = spoken_wavenet.load_data(config)
    return spoken_wavenet.build_model(config, data.assets), example_batch(data, 2)


ENTRIES = {"wavenet": Entry(wavenet, (100, 10_000))}

if __name__ == "__main__":
    main()
