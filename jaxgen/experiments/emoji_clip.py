"""Emoji and their names in one space (CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020).

    python -m jaxgen.experiments.emoji_clip
    python -m jaxgen.experiments.emoji_clip --seed 1 --run-dir runs/emoji_clip/scorer
    python -m jaxgen.experiments.emoji_clip --data path/to/captioned/images
    jaxgen evaluate runs/emoji_clip/001 --metrics retrieval

It makes no images: it ranks those of emoji_text_to_image and emoji_dalle (jaxgen sample RUN --prompt TEXT --rank-with
CLIP_RUN), and one of another seed says how far they agree with their captions (jaxgen evaluate RUN --metrics
text_agreement --text-scorer CLIP_RUN). Both drawings of an emoji are held out, or none.

The preset full is CLIP's ViT-B/32 with its text transformer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, Rate, Size, Widths, within
from jaxgen.data.captions import caption_writer
from jaxgen.experiments._adamw import AdamWConfig, optimizer_of
from jaxgen.experiments._captions import CaptionsConfig, caption_in_training, load_captions
from jaxgen.models.contrastive import Contrastive
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.text_encoder import CaptionEncoder, TextTransformer
from jaxgen.networks.vit import ViT
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import option


@dataclass(frozen=True)
class Config(CaptionsConfig, AdamWConfig):
    """Options of emoji_clip."""

    steps: Count = 1_500
    """How many training steps the run has in all."""
    batch_size: Count = 128
    """Examples per step, over all devices together; each is told apart from all others."""
    steps_per_dispatch: Count = 10
    """Steps run on the device between two returns to Python (results do not depend on it)."""
    eval_every: CountFromZero = 500
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    image_encoder: Literal["convolutions", "vit"] = "convolutions"
    """A convolutional network with batch norm, or a vision transformer."""
    embedding_size: Size = 128
    """Length of the vectors that are compared."""
    image_widths: Widths = (32, 64, 128)
    """Of the convolutional network: channels at each size, each half the one before."""
    patch_size: Size = 4
    """Of the vision transformer: images are taken as patches of this side."""
    image_width: Size = 128
    """Of the vision transformer: of each place between the blocks."""
    image_layers: Depth = 4
    """Of the vision transformer: blocks."""
    text_kind: Literal["rotary", "clip"] = "rotary"
    """The text transformer: rotary positions, RMS norms, SwiGLU, and the mean over all places, each of which looks at
    the whole caption; or as CLIP's, learned positions, layer norms, GELU, and the last place of one that looks back."""
    text_width: Size = 128
    """Of the text transformer: of each place between the blocks."""
    text_layers: Depth = 2
    """Of the text transformer: blocks."""
    head_width: Size = 32
    """Of each head of attention."""
    weight_decay: NonNegativeFloat = 0.2
    """AdamW's weight decay, of matrices only: not of biases and norms."""
    shift: Annotated[int, *within(0, 1000)] = 3
    """Shift training images by up to this many pixels."""
    degrees: Annotated[float, *within(0, 360)] = 15.0
    """Rotate training images by up to this many degrees."""
    scale: Rate = 0.15
    """Scale training images up or down by up to this fraction."""
    ema_decay: Rate | None = 0.998
    """Decay of the moving average of the weights that evaluation and ranking use, once it is warm. None: no average."""


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `Contrastive` model.

    Raises:
      UserError: a number out of range.
    """
    divided = ["text_width"] + ["image_width"] * (config.image_encoder == "vit")
    for name in divided:
        if getattr(config, name) % config.head_width:
            raise UserError(f"--head-width {config.head_width} must divide {option(name)} {getattr(config, name)}.")
    if config.text_kind == "rotary" and config.head_width % 2:
        raise UserError(f"--head-width {config.head_width} must be even with --text-kind rotary.")
    kind = {"rotary": {}, "clip": CLIP_TEXT | {"context": config.caption_length}}[config.text_kind]
    transformer = TextTransformer(
        caption_writer(assets).size,
        config.text_width,
        config.text_layers,
        config.text_width // config.head_width,
        **kind,
    )
    return Contrastive(
        image_encoder_of(config),
        CaptionEncoder(config.embedding_size, transformer, "last" if config.text_kind == "clip" else "mean"),
        optimizer=optimizer_of(config),
        caption_in_training=caption_in_training(config, assets),
        shift=config.shift,
        degrees=config.degrees,
        scale=config.scale,
        ema_decay=config.ema_decay,
    ).model()


CLIP_TEXT = {"positions": "learned", "norm": "layer", "feed_forward": "gelu", "use_bias": True, "causal": True}


def image_encoder_of(config: Config) -> nn.Module:
    """By its options."""
    if config.image_encoder == "vit":
        heads = config.image_width // config.head_width
        return ViT(config.embedding_size, config.patch_size, config.image_width, config.image_layers, heads)
    return ConvClassifier(config.embedding_size, config.image_widths, 2 * config.embedding_size)


EXPERIMENT = Experiment(
    file=__file__,
    family="text and images",
    summary="CLIP: images and captions in one space",
    data="emoji, --data ...",
    expected_time="17 min on 1 CPU core",
    presets={
        "quick": Config(steps=60, image_widths=(8, 16), text_width=32, embedding_size=32, text_layers=1, eval_every=30),
        "default": Config(),
        "full": Config(
            steps=125_000,  # the paper's 32 epochs are 390,000, more examples than a run can number
            batch_size=32_768,
            steps_per_dispatch=50,
            image_size=224,
            caption_length=77,
            vocabulary="bpe-49407",
            embedding_size=512,
            image_encoder="vit",
            patch_size=32,
            image_width=768,
            image_layers=12,
            text_kind="clip",
            text_width=512,
            text_layers=12,
            head_width=64,
            learning_rate=5e-4,
            min_learning_rate=0.0,
            warmup_steps=2_000,
            beta2=0.98,
            eval_every=5_000,
            checkpoint_every=5_000,
            ema_decay=None,
        ),
    },
    load_data=load_captions,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
