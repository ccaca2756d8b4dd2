"""Texts for `jaxgen sample`: by prompts, streamed to the terminal or written to a file."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import numpy as np

from jaxgen.commands._options import needed
from jaxgen.commands._outputs import check_output, writing
from jaxgen.commands._progress import progress_bars
from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, NonNegativeFloat, Text, within
from jaxgen.core.terminal import printable, tell
from jaxgen.core.types import present
from jaxgen.data.music import BETWEEN, write_midi
from jaxgen.data.text_file import normalized
from jaxgen.data.vocabulary import Vocabulary, vocabulary_of
from jaxgen.models.autoregressive.decoding import DecodeState, SamplingParams
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.samples.previews import as_lines, texts_with_rules

BLOCK = 16
"""Number of tokens after which the texts are printed and searched for stop strings."""


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Options of drawing texts."""

    prompt: tuple[str, ...] = ()
    """Prompts, each in quotes: the beginnings of texts, which are continued side by side; the words of sounds, one
    after another; or the captions of images, each in a row of its own, by default the run's own."""
    num_tokens: Annotated[int, *within(1, 10**7)] = 500
    """Number of tokens drawn after each prompt of a text."""
    temperature: NonNegativeFloat = 1.0
    """Temperature of tokens (of texts, sounds and images of emoji_dalle): below 1 likely tokens become likelier still,
    and 0 always takes the likeliest."""
    top_k: Count | None = None
    """Draw only from the k likeliest tokens. None: from all."""
    top_p: Annotated[float, *within(0, 1, low_open=True)] | None = None
    """Draw only from the likeliest tokens, until their probabilities add up to this. None: from all."""
    stop: Text | None = None
    """String before which a text ends. None: the line end for models of lines, otherwise no such string."""


def sample_texts(
    run: Run,
    options: TextOptions,
    *,
    num: int | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    checkpoint: str,
) -> None:
    """Draw texts, and print or write them.

    Raises:
      UserError: a prompt that cannot be written in the run's vocabulary.
    """
    choice = choice_of(options)
    by_lines = "line_end" in run.record["assets"]
    if by_lines and options.stop is None:
        options = dataclasses.replace(options, stop="\n")
    is_music = run.record["assets"].get("notation") == "abc"
    if out is not None:
        check_output(out, (".txt", ".mid") if is_music else (".txt",), overwrite=overwrite)
    drawing = needed(run, run.model.tokens, "tokens that are drawn one by one")
    advance = jax.jit(drawing.advance)
    vocabulary = vocabulary_of(run.record["assets"])
    prompts = options.prompt or ("",)
    prompts = prompts * (num or 1) if len(prompts) == 1 else prompts
    as_midi = out is not None and out.suffix.lower() == ".mid"
    if as_midi and len(prompts) > 1:
        raise UserError(f"A .mid file holds one tune, not {len(prompts)}: leave out --num, and give one prompt.")
    if num is not None and num != len(prompts):
        raise UserError(f"--num {num} does not fit {len(prompts)} prompts: leave it out, or give one prompt.")
    tokens, lengths = _prompt_tokens(prompts, vocabulary, run)
    state = restore_run(run, checkpoint)
    decoding = drawing.begin(state, jax.random.key(seed), tokens, lengths, options.num_tokens)
    joined = as_lines if by_lines else texts_with_rules
    streamed = out is None and len(prompts) == 1
    with progress_bars() as progress:

        def show(text: str, position: int, last: int) -> None:
            if not streamed:
                progress("drawing tokens", position, last)
            elif text:
                progress.stop()
                _print_more(text)

        progress("drawing tokens", 0, tokens.shape[1] + options.num_tokens)
        texts = _draw(
            decoding, lambda decoding: advance(state, decoding, BLOCK, choice), vocabulary, prompts, options, show
        )
        progress.stop()
    if streamed:
        print()
    elif out is None:
        _print_more(joined(texts))
    elif as_midi:
        with writing(out) as part:
            write_midi(texts[0].lstrip("\n").split(BETWEEN)[0], part)
        tell(f"1 tune of {run.name} at step {int(state.step)}: {out}")
    else:
        with writing(out) as part:
            part.write_text(joined(texts), encoding="utf-8")
        tell(f"{len(texts)} texts of {run.name} at step {int(state.step)}: {out}")


def choice_of(options: TextOptions) -> SamplingParams:
    """Return how tokens are chosen."""
    return SamplingParams(options.temperature, options.top_k, options.top_p)


def _prompt_tokens(prompts: Sequence[str], vocabulary: Vocabulary, run: Run) -> tuple[np.ndarray, list[int]]:
    """Return prompts as tokens [B, P] and their lengths [B]; an empty prompt becomes the model's first token."""
    first = np.asarray([present(run.model.tokens).first_token])
    rows = [vocabulary.encode(normalized(prompt)) if prompt else first for prompt in prompts]
    tokens = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, values in zip(tokens, rows, strict=True):
        row[: len(values)] = values
    return tokens, [len(row) for row in rows]


def _draw(
    decoding: DecodeState,
    advance: Callable[[DecodeState], DecodeState],
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    options: TextOptions,
    show: Callable[[str, int, int], None],
) -> list[str]:
    """Draw until all texts are long enough or stopped, and show the first one as it grows."""
    given = np.asarray(decoding.given)
    last = decoding.tokens.shape[1] - 1
    shown = 0
    while True:
        decoding = advance(decoding)
        position, rows = int(decoding.position), np.asarray(decoding.tokens)
        done, texts = position == last, []
        for prompt, row, known in zip(prompts, rows, given, strict=True):
            start = known if prompt else 1
            drawn = vocabulary.decode(row[start : min(position + 1, known + options.num_tokens)])
            at = drawn.find(options.stop) if options.stop else -1
            texts.append((prompt + (drawn if at < 0 else drawn[:at]), at >= 0))
        done = done or all(stopped for _, stopped in texts)
        text = texts[0][0]
        # The end of the text may still change (pieces of a character, the beginning of a stop string): it is held back.
        safe = len(text) if done else max(shown, len(text) - max(4, len(options.stop or "")))
        show(text[shown:safe], position, last)
        shown = max(shown, safe)
        if done:
            return [text for text, _ in texts]


def _print_more(text: str) -> None:
    print(printable(text, keep="\n\t"), end="", flush=True)
