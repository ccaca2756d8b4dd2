"""`jaxgen export RUN --to samples --out FILE`: write a model as a program that jax alone runs, or as a GPT-2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import jax.export
import jax.numpy as jnp
import tyro

from jaxgen.commands._options import RunOptions, check_samples, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_new_folder, check_output, writing, writing_folder
from jaxgen.commands._progress import doing
from jaxgen.core.errors import UserError
from jaxgen.core.options import within
from jaxgen.core.state import TrainState
from jaxgen.core.terminal import tell
from jaxgen.core.types import present
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.networks.gpt import GPT
from jaxgen.runs.hugging_face import check_is_gpt2, save_gpt2
from jaxgen.runs.opened_run import Run, restore_run

Program = tuple[Callable[..., jax.Array], tuple[jax.ShapeDtypeStruct, ...]]
"""A function, and the shapes and types of its arguments."""


SUFFIX = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Write a run's model, with its weights, for use without jaxgen.

      samples  a StableHLO program, seed uint32 [] -> samples [num, ...]
      logits   a StableHLO program of a model of text, tokens int32 [b, t] ->
               [b, t, K] for any b and any t up to the context
      gpt2     a folder that transformers reads
               (GPT2LMHeadModel.from_pretrained), for a GPT with learned
               positions and layer norms

    StableHLO programs run wherever jax and flatbuffers are installed:

        jax.export.deserialize(open("FILE", "rb").read()).call(jax.numpy.uint32(0))
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    out: Path
    """The file to write (.stablehlo) or, for gpt2, the folder, which must be empty or new."""
    to: Literal["samples", "logits", "gpt2"] = "samples"
    """What to write."""
    num: Annotated[int, *within(1, 10**6)] = 16
    """Number of samples that the program draws."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "export", arguments)
    run = open_named(options.run, options)
    if options.to == "gpt2":
        _export_gpt2(run, options)
        return
    check_output(options.out, (SUFFIX,), overwrite=options.overwrite)
    if options.to == "samples":
        check_samples(run)
    else:
        _logits_of(run)
        if run.model.condition is not None:
            raise UserError(f"{run.name} has a condition, which --to logits has no place for: use samples.")
    state = restore_run(run, options.checkpoint)
    function, arguments_like = {"samples": _samples, "logits": _logits}[options.to](run, state, options.num)
    with doing("writing the program"):
        exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arguments_like)
        content = exported.serialize()
    with writing(options.out) as part:
        part.write_bytes(content)
    (result,) = exported.out_avals
    tell(
        f"{run.name} at step {int(state.step)}: {options.out}, "
        f"{', '.join(map(str, exported.in_avals))} -> {result}, for {', '.join(PLATFORMS)}"
    )


def _samples(run: Run, state: TrainState, num: int) -> Program:
    def samples(seed: jax.Array) -> jax.Array:
        return present(run.model.sample)(state, jax.random.key(seed), num)

    return samples, (jax.ShapeDtypeStruct((), jnp.uint32),)


def _logits(run: Run, state: TrainState, num: int) -> Program:
    del num
    context = run.record["batch"]["tokens"]["shape"][0] - 1
    batch, length = jax.export.symbolic_shape("b, t", constraints=[f"t <= {context}"])
    logits = _logits_of(run)
    return lambda tokens: logits(state, tokens), (jax.ShapeDtypeStruct((batch, length), jnp.int32),)


def _logits_of(run: Run) -> Callable[..., jax.Array]:
    tokens = needed(run, run.model.tokens, "logits of tokens")
    return needed(run, tokens.logits, "logits of tokens")


def _export_gpt2(run: Run, options: Options) -> None:
    tokens = run.model.tokens
    network = None if tokens is None else tokens.network
    if not isinstance(network, GPT):
        raise UserError(f"{run.name} is no GPT: only such a run can be written as a GPT-2.")
    check_is_gpt2(network)
    check_new_folder(options.out)
    state = restore_run(run, options.checkpoint)
    params = present(present(tokens).network_params)(state)
    with writing_folder(options.out) as part:
        save_gpt2(part, network, params, vocabulary_of(run.record["assets"]))
    tell(f"{run.name} at step {int(state.step)}: {options.out}")
