"""Sounds for `jaxgen sample`: spoken words, one after another in a file, with their spectrogram."""

from pathlib import Path

import jax
import numpy as np

from jaxgen.commands._options import needed
from jaxgen.commands._outputs import check_output, writing
from jaxgen.commands._progress import doing
from jaxgen.commands._text_samples import TextOptions, choice_of
from jaxgen.core.errors import UserError
from jaxgen.core.state import TrainState
from jaxgen.core.terminal import tell
from jaxgen.core.types import Key, present
from jaxgen.data.spoken import nearest_word
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.samples.pictures import spectrogram
from jaxgen.samples.previews import SOUNDS_PER_FILE
from jaxgen.samples.sounds import in_a_row, save_wav


def sample_sounds(
    run: Run,
    options: TextOptions,
    *,
    label: int | None,
    num: int | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    checkpoint: str,
) -> None:
    """Draw each prompt `num` times, or the word of a number, or the first `num` words of the model's own.

    Raises:
      UserError: numbers out of range, a word that cannot be spoken, or both a prompt and a number.
    """
    out, choice = out or Path("sound.wav"), choice_of(options)
    check_output(out, (".wav",), overwrite=overwrite, beside=(".png",))
    speech, assets = needed(run, run.model.speech, "speech"), run.record["assets"]
    words, texts = assets["words"], [prompt.lower() for prompt in options.prompt]
    if label is not None:
        if texts:
            raise UserError("--prompt and --label exclude each other: give one of them.")
        if not 0 <= label < len(words):
            raise UserError(f"--label {label} is no word of {run.name}: choose 0 to {len(words) - 1}.")
        texts = [words[label]]
    if texts:
        condition = speech.say([text for text in texts for _ in range(num or 1)])
    else:
        condition = present(run.model.condition).of_samples(num or SOUNDS_PER_FILE)
    lengths = np.asarray(condition[0].length)
    longest = int(lengths.max())
    state = restore_run(run, checkpoint)

    @jax.jit
    def draw(state: TrainState, key: Key) -> jax.Array:
        return present(run.model.sample)(
            state, key, len(lengths), condition=condition, num_tokens=longest, choice=choice
        )

    with doing("drawing sounds"):
        sound = in_a_row(np.asarray(draw(state, jax.random.key(seed))), lengths)
    with writing(out) as part:
        save_wav(sound, part, assets["sample_rate"])
    picture = spectrogram(sound, assets["sample_rate"])
    with writing(out.with_suffix(".png")) as part:
        picture.save(part)
    for text in texts:
        if text not in words:
            nearest = nearest_word(words, text)
            tell(f"No clip says {text!r}: it is said by its spelling alone, and takes as long as {nearest!r}.")
    seconds = len(sound) / assets["sample_rate"]
    tell(
        f"{len(lengths)} sounds of {run.name} at step {int(state.step)}, {seconds:.1f} s: {out}, with their "
        f"spectrogram in {out.with_suffix('.png')}"
    )
