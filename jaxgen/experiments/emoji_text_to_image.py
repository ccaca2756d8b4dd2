"""Emoji from a text, by diffusion (GLIDE: Nichol et al. 2022, https://arxiv.org/abs/2112.10741).

    python -m jaxgen.experiments.emoji_text_to_image
    python -m jaxgen.experiments.emoji_text_to_image --data path/to/captioned/images --image-size 64 --factors 1 2 2
    jaxgen sample runs/emoji_text_to_image/001 --prompt "smiling cat face" "blue apple" --guidance 3
    jaxgen evaluate runs/emoji_text_to_image/001 --metrics text_agreement --text-scorer runs/emoji_clip/scorer

A U-Net removes noise from the pixels as in emoji_diffusion, whose other options it has. The caption goes through a
small transformer that is trained too: the mean of its states is added to the noise level's embedding, and attention
looks at each of them. Some captions are left out in training (--condition-dropout), which --guidance needs.

The preset full is GLIDE's model of 64x64 pixels, without its upsampler.
"""

from dataclasses import dataclass

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Size
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.data.captions import caption_writer
from jaxgen.experiments._captions import (
    CaptionedImageOptions,
    TextEncoderOptions,
    caption_in_training,
    load_captions,
    prompt_tokens,
)
from jaxgen.experiments._diffusion import DIFFUSION, QUICK, DiffusionConfig, build_diffusion
from jaxgen.experiments._images import with_data_variance
from jaxgen.models.diffusion.condition_sources import caption_condition
from jaxgen.networks.text_encoder import TextTransformer
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class TextTransformerOptions(TextEncoderOptions):
    """The transformer that reads captions."""

    text_head_width: Size = 32
    """Width of each head of attention of the text transformer."""


@dataclass(frozen=True)
class Config(DiffusionConfig):
    """Options of emoji_text_to_image."""

    data: CaptionedImageOptions = CaptionedImageOptions()
    text: TextTransformerOptions = TextTransformerOptions()


DEFAULT = Config().replace(**{**DIFFUSION, "steps": 5_000, "batch_size": 32}, dropout=0.1, guidance=3.0)


def load_data(config: Config) -> Dataset:
    """Load images with captions, with the variance that EDM needs."""
    return with_data_variance(load_captions(config.data))


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return the diffusion model of captions.

    Raises:
      UserError: a number out of range, or a network that takes no text.
    """
    if config.network.network != "unet":
        raise UserError("--network dit takes no text here: leave it out.")
    width, head_width = config.text.text_width, config.text.text_head_width
    if width % head_width or head_width % 2:
        raise UserError(f"--text-head-width {head_width} must be even and divide --text-width {width}.")
    text = TextTransformer(caption_writer(assets).size, width, config.text.text_layers, width // head_width)
    condition = caption_condition(prompt_tokens(assets), caption_in_training(config.data, assets))
    return build_diffusion(config, assets, condition=condition if config.model.conditional else None, text=text)


EXPERIMENT = Experiment(
    file=__file__,
    family="text and images",
    summary="text to image by diffusion",
    data="emoji, --data ...",
    expected_time="40 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=40, sample_every=20, checkpoint_every=20, text_width=32, text_layers=1, **QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=2_000_000,  # of the paper's 2,500,000: more examples than a run can number
            steps_per_dispatch=50,
            batch_size=2_048,
            image_size=64,
            caption_length=128,
            vocabulary="bpe-50256",
            width=512,
            patch_size=1,
            factors=(1, 2, 3, 4),
            blocks=3,
            middle_blocks=2,
            attention_sizes=(32, 16, 8),
            head_width=64,
            text_width=2_048,
            text_layers=24,
            text_head_width=64,
            condition_dropout=0.2,
            ema_decay=0.9999,
            prediction="epsilon",
            noise_levels="cosine",
            sampler="ancestral",
            sampling_steps=150,
            learning_rate=1e-4,
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
