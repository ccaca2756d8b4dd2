"""A GPT of tunes in ABC notation: the reels, jigs and hornpipes of Ryan's Mammoth Collection (1883).

    pip install 'jaxgen[music]'
    python -m jaxgen.experiments.music_gpt
    jaxgen sample runs/music_gpt/001 --prompt $'\\nR:jig\\nM:6/8\\nL:1/8\\nK:G\\n' --out jig.mid

The tunes are part of the package music21; one in ten is held out. jaxgen evaluate reports how many of the drawn tunes
can be read, and how many of their bars are as long as their meter says. Without --out a tune is printed while it is
drawn.
"""

from jaxgen.data.music import NAME
from jaxgen.experiments._gpt import SMALL_GPT, build_gpt
from jaxgen.experiments._scored import BEST_BY_LOSS
from jaxgen.experiments._text import QUICK, load_data
from jaxgen.runs.experiment import Experiment

DEFAULT = SMALL_GPT.replace(
    **BEST_BY_LOSS, data=NAME, steps=3_000, batch_size=16, context=256, dropout=0.1, sample_length=1_000
)


EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="GPT of tunes in ABC notation",
    data="ryans_mammoth (music21)",
    expected_time="31 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=10_000, batch_size=64, context=512, layers=6, heads=6, width=384, dropout=0.3),
    },
    load_data=load_data,
    build_model=build_gpt,
)


if __name__ == "__main__":
    EXPERIMENT.main()
