"""A variational autoencoder of the verses of the King James Bible, or of the lines of any text.

    python -m jaxgen.experiments.kjv_text_vae
    python -m jaxgen.experiments.kjv_text_vae --network gpt --data my.txt
    jaxgen sample runs/kjv_text_vae/001 --num 8
    jaxgen latent runs/kjv_text_vae/001 reconstruct
    jaxgen latent runs/kjv_text_vae/001 interpolate

Encoder and decoder are recurrent networks or transformers. The decoder sees the words so far and could ignore the
latents; --kl-warmup-steps, --free-bits and --word-dropout keep them in use. eval/text_vae/elbo is the bound of log p of
a verse in nats; jaxgen evaluate also reports it in bits per character, to be compared with the same network without
latents: python -m jaxgen.experiments.kjv_rnn --examples lines --vocabulary bpe-2000 --layers 1

An epoch of the verses is 875 steps with --batch-size 32.
"""

from dataclasses import dataclass
from typing import Literal

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Rate, Size
from jaxgen.core.types import Assets
from jaxgen.data import Dataset
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._adamw import AdamWOptions, optimizer_of
from jaxgen.experiments._latents import KLOptions, LatentOptions
from jaxgen.experiments._text import QUICK, SequenceNetworkOptions, TextDataOptions, load_examples
from jaxgen.models.text_vae import TextVAE
from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.text_encoder import AttentionEncoder, RecurrentEncoder
from jaxgen.runs.experiment import Experiment
from jaxgen.training.config import TrainConfig


@dataclass(frozen=True)
class TextVAEOptions(KLOptions, LatentOptions):
    """The latent vectors, and how they are kept in use."""

    word_dropout: Rate = 0.25
    """Probability in training that an earlier token is hidden from the decoder."""


@dataclass(frozen=True)
class CoderOptions(SequenceNetworkOptions):
    """The encoder and the decoder; a recurrent encoder always has one layer."""

    network: Literal["lstm", "gru", "gpt"] = "lstm"
    """Kind of the encoder and the decoder: recurrent networks, or transformers."""
    heads: Size = 4
    """Number of heads of attention in each block, for --network gpt."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of kjv_text_vae."""

    data: TextDataOptions = TextDataOptions()
    model: TextVAEOptions = TextVAEOptions()
    network: CoderOptions = CoderOptions()
    optimizer: AdamWOptions = AdamWOptions()


DEFAULT = Config().replace(
    steps=5_000,
    batch_size=32,
    vocabulary="bpe-2000",
    sample_length=64,
    layers=1,
    width=256,
    latent_size=32,
    kl_warmup_steps=2_000,
    free_bits=0.15,
    learning_rate=2e-3,
    weight_decay=0.01,
    eval_every=875,  # an epoch
    sample_every=875,
)


def load_data(config: Config) -> Dataset:
    """Load the lines of the text, of at most `context` tokens."""
    return load_examples(config.data, "lines")


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `TextVAE` of an encoder and a decoder of one kind.

    Raises:
      UserError: numbers out of range.
    """
    if config.optimizer.micro_batches > 1:
        raise UserError("--free-bits needs the whole batch, which --micro-batches divides: leave --micro-batches at 1.")
    model, sizes = config.model, config.network
    if sizes.network == "gpt" and sizes.width % (2 * sizes.heads):
        raise UserError(f"--width {sizes.width} must be a multiple of twice --heads {sizes.heads}.")
    tokens, outputs = vocabulary_of(assets).size, 2 * model.latent_size
    if sizes.network == "gpt":
        encoder = AttentionEncoder(outputs, tokens, sizes.width, sizes.layers, sizes.heads)
        network = GPT(
            tokens,
            config.data.context,
            sizes.layers,
            sizes.heads,
            sizes.width,
            dropout=sizes.dropout,
            positions="rotary",
            norm="rms",
            feed_forward="swiglu",
            latent_size=model.latent_size,
        )
    else:
        encoder = RecurrentEncoder(outputs, tokens, sizes.width, sizes.network)
        network = RecurrentNetwork(
            tokens, sizes.width, sizes.layers, sizes.network, sizes.dropout, latent_size=model.latent_size
        )
    return TextVAE(
        encoder,
        network,
        latent_size=model.latent_size,
        optimizer=optimizer_of(config.optimizer, config.run),
        line_end=assets["line_end"],
        beta=model.beta,
        kl_warmup_steps=model.kl_warmup_steps,
        free_bits=model.free_bits,
        word_dropout=model.word_dropout,
        sample_length=config.data.sample_length,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE of sentences, recurrent or of transformers",
    data="kjv, --data ...",
    expected_time="25 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK, width=64, kl_warmup_steps=100),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=44_000,
            batch_size=64,
            context=96,
            sample_length=96,
            vocabulary="bpe-8000",
            network="gpt",
            layers=6,
            heads=8,
            width=512,
            kl_warmup_steps=10_000,
            dropout=0.1,
            learning_rate=1e-3,
            eval_every=1_000,
            sample_every=1_000,
        ),
    },
    load_data=load_data,
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
