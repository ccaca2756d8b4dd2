"""Emoji from a text, by one transformer over captions and codes (DALL-E: Ramesh et al. 2021, arXiv:2102.12092).

    python -m jaxgen.experiments.emoji_dvae
    python -m jaxgen.experiments.emoji_dalle --first-stage runs/emoji_dvae/001
    jaxgen sample runs/emoji_dalle/001 --prompt "smiling cat face" "blue apple" --top-p 0.95
    jaxgen sample runs/emoji_dalle/001 --prompt "smiling cat face" --rank-with runs/emoji_clip/001 --candidates 16
    jaxgen evaluate runs/emoji_dalle/001 --metrics text_agreement --text-scorer runs/emoji_clip/scorer

A GPT predicts the tokens of the caption and, after them, the codes of the image, one after another. The first stage
(of emoji_dvae, or emoji_vq_vae) is copied into this run, with the hash of the state it came from; images are encoded
within the step. A caption is empty at times (--caption-dropout), so that --guidance has something to compare with.

The preset full has the paper's 12 billion parameters, with dense attention in place of the paper's sparse one; its
first stage is the preset full of emoji_dvae.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, Rate, Size, within
from jaxgen.data import Dataset
from jaxgen.data.captions import caption_writer
from jaxgen.experiments._adamw import AdamWConfig, optimizer_of
from jaxgen.experiments._captions import CaptionsConfig, caption_in_training, load_captions, prompt_tokens
from jaxgen.experiments._text import DTYPES, Dtype
from jaxgen.models.autoregressive.dall_e import DALLE, Layout
from jaxgen.networks.gpt import GPT
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.first_stage import first_stage_of, first_stage_tokenizer


@dataclass(frozen=True)
class Config(CaptionsConfig, AdamWConfig):
    """Options of emoji_dalle."""

    first_stage: Path | None = None
    """The folder of a run of emoji_dvae or emoji_vq_vae."""
    steps: Count = 5_000
    """How many training steps the run has in all."""
    batch_size: Count = 32
    """Examples per step, over all devices together."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    layers: Depth = 4
    """Blocks."""
    heads: Size = 4
    """Heads of attention."""
    width: Size = 128
    """Of each position between the blocks."""
    norm: Literal["layer", "rms"] = "rms"
    """The norm before each half of a block."""
    feed_forward: Literal["gelu", "gelu_tanh", "swiglu"] = "swiglu"
    """The other half of a block."""
    use_bias: bool = False
    """Whether products and layer norms have biases."""
    dropout: Rate = 0.1
    """Rate of dropout."""
    dtype: Dtype = "float32"
    """What products are computed in; parameters are kept in float32."""
    remat: bool = False
    """Computes activations again for the gradient, rather than keeping them: less memory, more time."""
    shift: Annotated[int, *within(0, 1000)] = 2
    """Training images are moved by up to this many pixels before they become codes."""
    caption_dropout: Rate = 0.1
    """How often the caption is empty in training."""
    guidance: NonNegativeFloat = 2.0
    """How far samples go toward their caption, from what images are like without (0) to it (1) and beyond."""
    ema_decay: Rate | None = 0.999
    """Decay of the moving average of the weights that evaluation and samples use, once it is warm. None: no average."""


def load_data(config: Config) -> Dataset:
    """Images with captions, of the first stage's size, and among the assets what that is."""
    if config.first_stage is None:
        raise UserError("emoji_dalle needs codes to learn: name a run of emoji_dvae with --first-stage RUN.")
    described = first_stage_of(config, config.first_stage)
    height, width, channels = described["batch"]["image"]["shape"]
    if (height, width, channels) != (config.image_size, config.image_size, 3):
        raise UserError(
            f"--image-size {config.image_size} gives RGB images that the first stage, of {height}x{width}x{channels}, "
            "does not take: choose its size."
        )
    data = load_captions(config)
    return dataclasses.replace(data, assets={**data.assets, "first_stage": described})


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return the model of a `DALLE`.

    Raises:
      UserError: a number out of range.
    """
    if config.width % config.heads:
        raise UserError(f"--width {config.width} must be a multiple of --heads {config.heads}.")
    described = assets["first_stage"]
    writer = caption_writer(assets)
    layout = Layout(writer.size, writer.length, described["num_codes"], tuple(described["grid_shape"]))
    of_network = ("layers", "heads", "width", "norm", "feed_forward", "use_bias", "dropout", "remat")
    options = {name: getattr(config, name) for name in of_network}
    return DALLE(
        GPT(layout.vocabulary_size, layout.context, positions="learned", dtype=DTYPES[config.dtype], **options),
        layout,
        tokenizer=first_stage_tokenizer(described, config.first_stage),
        prompts=prompt_tokens(assets),
        optimizer=optimizer_of(config),
        caption_in_training=caption_in_training(config, assets),
        caption_dropout=config.caption_dropout,
        guidance=config.guidance,
        shift=config.shift,
        ema_decay=config.ema_decay,
        micro_batches=config.micro_batches,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="text and images",
    summary="text to image by a transformer over captions and codes",
    data="emoji, --data ...",
    expected_time="4 min on a GPU",
    presets={
        "quick": Config(steps=40, width=32, layers=1, sample_every=20, checkpoint_every=20, log_every=20),
        "default": Config(),
        "full": Config(
            steps=430_000,
            steps_per_dispatch=50,
            batch_size=1_024,
            image_size=256,
            caption_length=256,
            vocabulary="bpe-16383",
            layers=64,
            heads=62,
            width=3_968,
            norm="layer",
            feed_forward="gelu",
            use_bias=True,
            dtype="bfloat16",
            remat=True,
            learning_rate=4.5e-4,
            min_learning_rate=0.0,
            warmup_steps=5_000,
            weight_decay=4.5e-2,
            beta2=0.96,
            clip_norm=4.0,
            ema_decay=0.999,
            sample_every=10_000,
            checkpoint_every=10_000,
            eval_every=10_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
