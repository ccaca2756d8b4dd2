"""Tokens per second that networks draw one by one, early and late in a sequence, and beside transformers.

    pip install -e '.[bench]'
    python benchmarks/sample.py --json results.json

Sequences of audio samples or tokens are drawn by jaxgen's own decoding, with random weights (the work is the same), and
without the time of compilation. A network with a cache of fixed size takes equally long at any position. A GPT is also
written as a folder of transformers, whose `generate` draws as many tokens with the same weights, in a process of its
own. See README.md.
"""

import dataclasses
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import tyro
from common import chosen, cores, machine

from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import TrainState
from jaxgen.data import example_batch
from jaxgen.experiments import spoken_wavenet
from jaxgen.models.autoregressive.decoding import DecodeState
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import save_gpt2


class Entry(NamedTuple):
    """A model that draws sequences."""

    build: Callable[[], tuple[GenerativeModel, Any]]
    """() -> (model, a batch for its `init`)."""
    positions: tuple[int, ...]
    """Positions in the sequence at which the speed is measured."""
    count: int
    """Number of tokens of each measurement."""
    beside_transformers: bool = False
    """Whether transformers draws too, which a GPT-2 allows."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Measure how fast networks draw."""

    only: str = ""  # names of entries, with commas between them; all where empty
    sequences: int = 1  # drawn side by side
    repeats: int = 5  # how often each is measured, in turn
    json: Path | None = None  # file for the results


def main() -> None:
    config = tyro.cli(Config)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    rows = []
    for name in chosen(config.only, list(ENTRIES), "entry"):
        entry = ENTRIES[name]
        model, batch = entry.build()
        state = jax.jit(model.init)(jax.random.key(0), batch)
        for position, times in measured(entry, model, state, config).items():
            rows.append(row(name, "jaxgen", position, entry, config, times))
        if entry.beside_transformers:
            times = measured_in_transformers(entry, model, state, config)
            rows.append(row(name, "transformers", entry.positions[0], entry, config, times))
    if config.json:
        about["sequences"] = config.sequences
        config.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")


def row(name: str, library: str, position: int, entry: Entry, config: Config, times: list[float]) -> dict[str, Any]:
    """Print and return one line of the table."""
    rate = config.sequences * entry.count / statistics.median(times)
    print(f"{name:<12}{library:<14}from position {position:<8}{rate:>10,.0f} tokens a second", flush=True)
    return {"name": name, "library": library, "position": position, "tokens_per_second": rate, "seconds": times}


def measured_in_transformers(entry: Entry, model: GenerativeModel, state: TrainState, config: Config) -> list[float]:
    """Return the seconds that `count` tokens after the first took, for each repeat."""
    with tempfile.TemporaryDirectory() as folder:
        save_gpt2(Path(folder), model.tokens.network, model.tokens.network_params(state))
        numbers = [str(n) for n in (config.sequences, entry.count, config.repeats)]
        command = [sys.executable, __file__, "--worker", folder, *numbers]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def work(folder: str, sequences: str, count: str, repeats: str) -> None:
    """Draw with transformers and print the seconds it took; this is the worker process."""
    import torch
    from transformers import GPT2LMHeadModel

    torch.set_num_threads(cores())
    network, times = GPT2LMHeadModel.from_pretrained(folder).eval(), []
    options = {"do_sample": True, "top_k": 0, "use_cache": True, "pad_token_id": 0}
    for _ in range(1 + int(repeats)):
        start = time.perf_counter()
        with torch.inference_mode():
            prompts = torch.zeros((int(sequences), 1), dtype=torch.long)
            network.generate(prompts, min_new_tokens=int(count), max_new_tokens=int(count), **options)
        times.append(time.perf_counter() - start)
    print(json.dumps(times[1:]))


def measured(entry: Entry, model: GenerativeModel, state: TrainState, config: Config) -> dict[int, list[float]]:
    """Return, for each position, the seconds that `count` tokens from it on took, for each repeat."""
    condition = () if model.condition is None else model.condition.of_samples(config.sequences)
    advance = jax.jit(model.tokens.advance)
    prompts = jnp.full((config.sequences, 1), model.tokens.first_token, jnp.int32)
    num_tokens = max(entry.positions) + entry.count
    lengths = [1] * config.sequences
    decoding = model.tokens.begin(state, jax.random.key(1), prompts, lengths, num_tokens, *condition)
    begun: dict[int, DecodeState] = {}
    for position in sorted(entry.positions):
        decoding = begun[position] = advance(state, decoding, position - int(decoding.position))
    seconds: dict[int, list[float]] = {position: [] for position in begun}
    for _ in range(config.repeats):
        for position, decoding in begun.items():
            start = time.perf_counter()
            jax.block_until_ready(advance(state, decoding, entry.count))
            seconds[position].append(time.perf_counter() - start)
    return seconds


def wavenet() -> tuple[GenerativeModel, Any]:
    """Build the default network of spoken_wavenet."""
    config = spoken_wavenet.EXPERIMENT.presets["default"]
    data = spoken_wavenet.load_data(config)
    return spoken_wavenet.build_model(config, data.assets), example_batch(data, 2)


def gpt(layers: int, heads: int, width: int, vocabulary_size: int, context: int) -> tuple[GenerativeModel, Any]:
    """Build a GPT-2 of these sizes."""
    network = GPT(vocabulary_size, context, layers, heads, width, use_bias=True, feed_forward="gelu_tanh")
    return SequenceModel(network, optimizer=optax.sgd(0.0)).model(), {"tokens": jnp.zeros((1, 3), jnp.int32)}


ENTRIES = {
    "wavenet": Entry(wavenet, (100, 10_000), 1_000),
    "gpt": Entry(functools.partial(gpt, 4, 4, 128, 73, 256), (0,), 200, beside_transformers=True),
    "gpt2": Entry(functools.partial(gpt, 12, 12, 768, 50_257, 1_024), (0,), 40, beside_transformers=True),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
