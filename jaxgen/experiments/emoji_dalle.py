"""Emoji from a text, by one transformer over captions and codes (DALL-E: Ramesh et al. 2021, arXiv:2102.12092).

    python -m jaxgen.experiments.emoji_dvae
    python -m jaxgen.experiments.emoji_dalle --first-stage runs/emoji_dvae/001
    jaxgen sample runs/emoji_dalle/001 --prompt "smiling cat face" "blue apple" --top-p 0.95
    jaxgen sample runs/emoji_dalle/001 --prompt "smiling cat face" --rank-with runs/emoji_clip/001 --candidates 16
    jaxgen evaluate runs/emoji_dalle/001 --metrics text_agreement --text-scorer runs/emoji_clip/scorer

A GPT predicts the tokens of the caption and, after them, the codes of the image, one after another. The first stage
(of emoji_dvae, or emoji_vq_vae) is copied into this run, with the hash of the state it came from; images are encoded
within the step. Some captions are empty in training (--caption-dropout), which --guidance needs.

The preset full has the paper's 12 billion parameters, with dense attention in place of the paper's sparse one; its
first stage is the preset full of emoji_dvae.
"""

import dataclasses
from dataclasses import dataclass

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Rate
from jaxgen.core.types import Assets, present
from jaxgen.data import Dataset
from jaxgen.data.captions import caption_writer
from jaxgen.experiments._adamw import AveragedAdamWOptions, optimizer_of
from jaxgen.experiments._captions import CaptionedImageOptions, caption_in_training, load_captions, prompt_tokens
from jaxgen.experiments._distortion import ShiftOptions
from jaxgen.experiments._first_stage import FirstStageOptions
from jaxgen.experiments._gpt import DTYPES, TransformerOptions
from jaxgen.experiments._guidance import GuidanceOptions
from jaxgen.models.autoregressive.dall_e import DALLE, Layout
from jaxgen.networks.gpt import GPT
from jaxgen.runs.experiment import Experiment
from jaxgen.runs.first_stage import first_stage_of, first_stage_tokenizer
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class DALLEOptions(FirstStageOptions):
    """The first stage, whose codes are learned, and the dropout of captions."""

    caption_dropout: Rate = 0.1
    """Probability that the caption is empty in training, which --guidance needs."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of emoji_dalle."""

    data: CaptionedImageOptions = CaptionedImageOptions()
    model: DALLEOptions = DALLEOptions()
    sampling: GuidanceOptions = GuidanceOptions()
    network: TransformerOptions = TransformerOptions()
    optimizer: AveragedAdamWOptions = AveragedAdamWOptions()
    augmentation: ShiftOptions = ShiftOptions()


DEFAULT = Config().replace(steps=5_000, batch_size=32, steps_per_dispatch=10, eval_every=500, dropout=0.1, guidance=2.0)


def load_data(config: Config) -> Dataset:
    """Load images with captions, of the first stage's size; the assets describe the first stage.

    Raises:
      UserError: no first stage, or a first stage of images of another size.
    """
    folder, image_size = config.model.first_stage, config.data.image_size
    if folder is None:
        raise UserError("emoji_dalle needs codes to learn: name a run of emoji_dvae with --first-stage RUN.")
    described = first_stage_of(config, folder)
    height, width, channels = described["batch"]["image"]["shape"]
    if (height, width, channels) != (image_size, image_size, 3):
        raise UserError(
            f"--image-size {image_size} gives RGB images that the first stage, of {height}x{width}x{channels}, "
            "does not take: choose its size."
        )
    data = load_captions(config.data)
    return dataclasses.replace(data, assets={**data.assets, "first_stage": described})


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return the model of a `DALLE`.

    Raises:
      UserError: a number out of range.
    """
    model, sizes = config.model, config.network
    if sizes.width % sizes.heads:
        raise UserError(f"--width {sizes.width} must be a multiple of --heads {sizes.heads}.")
    described = assets["first_stage"]
    writer = caption_writer(assets)
    layout = Layout(writer.size, writer.length, described["num_codes"], tuple(described["grid_shape"]))
    options = {**vars(sizes), "dtype": DTYPES[sizes.dtype]}
    return DALLE(
        GPT(layout.vocabulary_size, layout.context, positions="learned", **options),
        layout,
        tokenizer=first_stage_tokenizer(described, present(model.first_stage)),
        prompts=prompt_tokens(assets),
        optimizer=optimizer_of(config.optimizer, config.run),
        caption_in_training=caption_in_training(config.data, assets),
        caption_dropout=model.caption_dropout,
        guidance=config.sampling.guidance,
        shift=config.augmentation.shift,
        ema_decay=config.optimizer.ema_decay,
        micro_batches=config.optimizer.micro_batches,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="text and images",
    summary="text to image by a transformer over captions and codes",
    data="emoji, --data ...",
    expected_time="4 min on a GPU",
    presets={
        "quick": DEFAULT.replace(steps=40, width=32, layers=1, sample_every=20, checkpoint_every=20, log_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
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
