"""A GPT of tunes in ABC notation: the reels, jigs and hornpipes of Ryan's Mammoth Collection (1883).

    pip install 'jaxgen[music]'
    python -m jaxgen.experiments.music_gpt
    jaxgen sample runs/music_gpt/001 --prompt $'\\nR:jig\\nM:6/8\\nL:1/8\\nK:G\\n' --out jig.mid

The tunes are part of the package music21; one in ten is held out. `jaxgen evaluate` says how many of the drawn tunes
can be read, and how many of their bars are as long as their meter says. Without --out a tune is printed as it is drawn.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.options import Count, Rate, Text, within
from jaxgen.data.music import NAME
from jaxgen.experiments._gpt import GPTConfig, build_gpt
from jaxgen.experiments._scored import BestByLoss
from jaxgen.experiments._text import load_data
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(BestByLoss, GPTConfig):
    """Options of music_gpt."""

    data: Text = NAME
    """The text: ryans_mammoth, or as in kjv_gpt."""
    steps: Count = 3_000
    """How many training steps the run has in all."""
    batch_size: Count = 16
    """Examples per step, over all devices together."""
    context: Annotated[int, *within(2, 2**20)] = 256
    """Tokens that an example predicts, and that a GPT can look back to."""
    dropout: Rate = 0.1
    """Rate of dropout."""
    sample_length: Annotated[int, *within(1, 10**7)] = 1_000
    """Tokens of each text in samples/."""


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="GPT of tunes in ABC notation",
    data="ryans_mammoth (music21)",
    expected_time="31 min on 1 CPU core",
    presets={
        "quick": Config(steps=200, sample_every=100, checkpoint_every=100, log_every=20, warmup_steps=20),
        "default": Config(),
        "full": Config(steps=10_000, batch_size=64, context=512, layers=6, heads=6, width=384, dropout=0.3),
    },
    load_data=load_data,
    build_model=build_gpt,
)


if __name__ == "__main__":
    EXPERIMENT.main()
