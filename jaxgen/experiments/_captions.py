"""The options of experiments on images with captions, and how these are loaded."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxgen.core.options import ImageSize, Rate, Size, Text
from jaxgen.core.state import Batch
from jaxgen.data import Dataset
from jaxgen.data.captions import caption_writer, first_captions, load_captioned, random_caption

EMOJI_PROMPTS = (
    # held-out names,
    "cat face with wry smile",
    "light blue heart",
    "kissing face",
    "woman astronaut",
    "large orange circle",
    # and what there is no emoji of, of words that others have
    "red cat face",
    "pig face with tears of joy",
    "blue apple",
    "purple car",
    "pink house",
)
"""What sheets of emoji are of."""
NUM_PROMPTS = 10


@dataclass(frozen=True)
class CaptionsConfig:
    """What a config gets by naming this before the class of its other options."""

    data: Text = "emoji"
    """Emoji by their Unicode names, or a folder of images with a .txt file of captions beside each, or with one
    captions.csv or captions.jsonl (file, caption)."""
    image_size: ImageSize = 32
    """Side of the square images in pixels."""
    vocabulary: Text = "bpe-1000"
    """What a token of a caption is: bpe-SIZE (pieces of words, learned from the captions), characters, bytes, or the
    path of a tokenizer.json."""
    caption_length: Size = 24
    """Tokens of a caption; what is longer is cut."""
    subcategories: bool = True
    """Of emoji: in training, half of the captions are the name and the subcategory (red apple, food fruit)."""
    word_dropout: Rate = 0.1
    """How often a word of a caption is left out in training."""
    prompts: tuple[Text, ...] = ()
    """What the sheets in samples/ are of, each in quotes. None given: ten of emoji, else ten held-out captions."""


def load_captions(config: CaptionsConfig) -> Dataset:
    """The images and captions named by --data, with the prompts among the assets.

    Raises:
      UserError: they have no captions.
    """
    data = load_captioned(
        config.data,
        image_size=config.image_size,
        vocabulary=config.vocabulary,
        caption_length=config.caption_length,
        subcategories=config.subcategories,
    )
    prompts = config.prompts or (EMOJI_PROMPTS if config.data == "emoji" else first_captions(data)[:NUM_PROMPTS])
    return dataclasses.replace(data, assets={**data.assets, "prompts": list(prompts)})


def prompt_tokens(assets: Mapping[str, Any]) -> np.ndarray:
    """The prompts of the sheets, int32 [P, T]."""
    return caption_writer(assets).encode(assets["prompts"], cut=True)


def caption_in_training(config: CaptionsConfig, assets: Mapping[str, Any]) -> Callable[[jax.Array, Batch], jax.Array]:
    """(keys [B], batch) -> one of the captions of each image, with words left out: int32 [B, T]."""
    starts = caption_writer(assets).word_starts()

    def draw(keys: jax.Array, batch: Batch) -> jax.Array:
        one = lambda key, captions: random_caption(key, captions, starts, word_dropout=config.word_dropout)  # noqa: E731
        return jax.vmap(one)(keys, batch["captions"])

    return draw
