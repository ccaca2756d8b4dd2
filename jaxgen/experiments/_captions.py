"""Options and loading of images with captions, shared by experiments."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.options import Depth, ImageSize, Rate, Size, Text
from jaxgen.core.types import Assets, Batch
from jaxgen.data import Dataset
from jaxgen.data.captions import caption_writer, first_captions, load_captioned, random_caption

EMOJI_PROMPTS = (
    # held-out names
    "cat face with wry smile",
    "light blue heart",
    "kissing face",
    "woman astronaut",
    "large orange circle",
    # things of which there is no emoji, in words of other names
    "red cat face",
    "pig face with tears of joy",
    "blue apple",
    "purple car",
    "pink house",
)
"""The prompts of sheets of emoji."""
NUM_PROMPTS = 10


@dataclass(frozen=True)
class CaptionedImageOptions:
    """The images and captions to learn from, and the tokens of captions."""

    data: Text = "emoji"
    """Emoji by their Unicode names, or a folder of images with a .txt file of captions beside each, or with one
    captions.csv or captions.jsonl (file, caption)."""
    image_size: ImageSize = 32
    """Side of the square images in pixels."""
    vocabulary: Text = "bpe-1000"
    """Tokens of captions: bpe-SIZE (pieces of words, learned from the captions), characters, bytes, or the path of a
    tokenizer.json."""
    caption_length: Size = 24
    """Maximum length of a caption in tokens; longer ones are cut."""
    subcategories: bool = True
    """Add the subcategory of an emoji to half of its captions in training (red apple, food fruit)."""
    word_dropout: Rate = 0.1
    """Probability that a word of a caption is left out in training."""
    prompts: tuple[Text, ...] = ()
    """Captions of the sheets in samples/, each in quotes. None given: ten prompts of emoji, or ten held-out
    captions."""


@dataclass(frozen=True)
class TextEncoderOptions:
    """The transformer that reads captions."""

    text_width: Size = 128
    """Width of the text transformer, at each position between its blocks."""
    text_layers: Depth = 2
    """Number of blocks of the text transformer."""


def load_captions(options: CaptionedImageOptions) -> Dataset:
    """Load the images and captions named by --data, with the prompts among the assets.

    Raises:
      UserError: the data have no captions.
    """
    data = load_captioned(
        options.data,
        image_size=options.image_size,
        vocabulary=options.vocabulary,
        caption_length=options.caption_length,
        subcategories=options.subcategories,
    )
    prompts = options.prompts or (EMOJI_PROMPTS if options.data == "emoji" else first_captions(data)[:NUM_PROMPTS])
    return dataclasses.replace(data, assets={**data.assets, "prompts": list(prompts)})


def prompt_tokens(assets: Assets) -> np.ndarray:
    """Return the prompts of the sheets, int32 [P, T]."""
    return caption_writer(assets).encode(assets["prompts"], cut=True)


def caption_in_training(options: CaptionedImageOptions, assets: Assets) -> Callable[[jax.Array, Batch], jax.Array]:
    """Return (keys [B], batch) -> one of the captions of each image, with words left out: int32 [B, T]."""
    starts = jnp.asarray(caption_writer(assets).word_starts())

    def draw(keys: jax.Array, batch: Batch) -> jax.Array:
        one = partial(random_caption, word_starts=starts, word_dropout=options.word_dropout)
        return jax.vmap(one)(keys, batch["captions"])

    return draw
