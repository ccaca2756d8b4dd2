"""A GPT of the King James Bible, or of any text, by characters, bytes or pieces of words.

    python -m jaxgen.experiments.kjv_gpt
    python -m jaxgen.experiments.kjv_gpt --data my.txt --vocabulary bpe-2000
    python -m jaxgen.experiments.kjv_gpt --data my.txt --pretrained FOLDER --adapter-rank 8
    jaxgen sample runs/kjv_gpt/001 --prompt "In the beginning" --num-tokens 500

eval/autoregressive/loss is the mean over the whole held-out tenth of the text, in nats per token (divide by ln 2 =
0.693 for bits). The preset full is nanoGPT's setting for the complete works of Shakespeare, 10.6 million parameters.
"""

from jaxgen.experiments._gpt import NANOGPT, SMALL_GPT, build_gpt
from jaxgen.experiments._text import QUICK, load_data
from jaxgen.runs.experiment import Experiment

DEFAULT = SMALL_GPT

EXPERIMENT = Experiment(
    file=__file__,
    family="autoregressive",
    summary="GPT of text, by characters or pieces of words",
    data="kjv, --data ...",
    expected_time="4 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=5_000,
            batch_size=64,
            context=256,
            layers=6,
            heads=6,
            width=384,
            dropout=0.2,
            eval_every=250,
            **NANOGPT,
        ),
    },
    load_data=load_data,
    build_model=build_gpt,
)


if __name__ == "__main__":
    EXPERIMENT.main()
