"""Emoji and their names in one space (CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020).

    python -m jaxgen.experiments.emoji_clip
    python -m jaxgen.experiments.emoji_clip --seed 1 --run-dir runs/emoji_clip/scorer
    python -m jaxgen.experiments.emoji_clip --data path/to/captioned/images
    jaxgen evaluate runs/emoji_clip/001 --metrics retrieval

The model makes no images: it ranks those of emoji_text_to_image and emoji_dalle (jaxgen sample RUN --prompt TEXT
--rank-with CLIP_RUN), and a run with another seed scores how well they agree with their captions (jaxgen evaluate RUN
--metrics text_agreement --text-scorer CLIP_RUN). Both drawings of an emoji are held out, or neither. Each image is
contrasted with all others of its batch (--batch-size).

The preset full is CLIP's ViT-B/32 with its text transformer.
"""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Depth, Size, Widths, option
from jaxgen.core.types import Assets
from jaxgen.data.captions import caption_writer
from jaxgen.experiments._adamw import AveragedAdamWOptions, optimizer_of
from jaxgen.experiments._captions import (
    CaptionedImageOptions,
    TextEncoderOptions,
    caption_in_training,
    load_captions,
)
from jaxgen.experiments._distortion import DistortionOptions
from jaxgen.models.contrastive import Contrastive
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.text_encoder import CaptionEncoder, TextTransformer
from jaxgen.networks.vit import ViT
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig

TEXT_KINDS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "clip": {"positions": "learned", "norm": "layer", "feed_forward": "gelu", "use_bias": True, "causal": True},
}
"""Options of a `TextTransformer`, by the names of --text-kind."""


@dataclass(frozen=True)
class EncoderOptions(TextEncoderOptions):
    """The encoders of images and of captions."""

    embedding_size: Size = 128
    """Length of the vectors that are compared."""
    image_encoder: Literal["convolutions", "vit"] = "convolutions"
    """Kind of the image encoder: a convolutional network with batch norm, or a vision transformer."""
    image_widths: Widths = (32, 64, 128)
    """Channels of the convolutional network at each size; each size is half the one before."""
    patch_size: Size = 4
    """Side of the vision transformer's patches in pixels."""
    image_width: Size = 128
    """Width of the vision transformer, at each position between its blocks."""
    image_layers: Depth = 4
    """Number of blocks of the vision transformer."""
    text_kind: Literal[tuple(TEXT_KINDS)] = "rotary"
    """Kind of the text transformer: with rotary positions, RMS norms, SwiGLU, full attention and the mean over all
    places; or CLIP's, with learned positions, layer norms, GELU, causal attention and the last place."""
    head_width: Size = 32
    """Width of each head of attention, in both transformers."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of emoji_clip."""

    data: CaptionedImageOptions = CaptionedImageOptions()
    network: EncoderOptions = EncoderOptions()
    optimizer: AveragedAdamWOptions = AveragedAdamWOptions()
    augmentation: DistortionOptions = DistortionOptions()


DEFAULT = Config().replace(
    steps=1_500,
    batch_size=128,
    steps_per_dispatch=10,
    eval_every=500,
    weight_decay=0.2,
    shift=3,
    degrees=15.0,
    scale=0.15,
    ema_decay=0.998,
)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `Contrastive` model.

    Raises:
      UserError: a number out of range.
    """
    sizes, moved = config.network, config.augmentation
    divided = ["text_width"] + ["image_width"] * (sizes.image_encoder == "vit")
    for name in divided:
        if getattr(sizes, name) % sizes.head_width:
            raise UserError(f"--head-width {sizes.head_width} must divide {option(name)} {getattr(sizes, name)}.")
    if sizes.text_kind == "rotary" and sizes.head_width % 2:
        raise UserError(f"--head-width {sizes.head_width} must be even with --text-kind rotary.")
    transformer = TextTransformer(
        caption_writer(assets).size,
        sizes.text_width,
        sizes.text_layers,
        sizes.text_width // sizes.head_width,
        config.data.caption_length if sizes.text_kind == "clip" else None,
        **TEXT_KINDS[sizes.text_kind],
    )
    return Contrastive(
        image_encoder_of(sizes),
        CaptionEncoder(sizes.embedding_size, transformer, "last" if sizes.text_kind == "clip" else "mean"),
        optimizer=optimizer_of(config.optimizer, config.run),
        caption_in_training=caption_in_training(config.data, assets),
        shift=moved.shift,
        degrees=moved.degrees,
        scale=moved.scale,
        ema_decay=config.optimizer.ema_decay,
    ).model()


def image_encoder_of(options: EncoderOptions) -> nn.Module:
    """Return the network that --image-encoder names."""
    if options.image_encoder == "vit":
        heads = options.image_width // options.head_width
        return ViT(options.embedding_size, options.patch_size, options.image_width, options.image_layers, heads)
    return ConvClassifier(options.embedding_size, options.image_widths, 2 * options.embedding_size)


EXPERIMENT = Experiment(
    file=__file__,
    family="text and images",
    summary="CLIP: images and captions in one space",
    data="emoji, --data ...",
    expected_time="17 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=60, image_widths=(8, 16), text_width=32, embedding_size=32, text_layers=1, eval_every=30
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=125_000,  # the paper's 32 epochs are 390,000 steps, more examples than a run can number
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
    load_data=lambda config: load_captions(config.data),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
