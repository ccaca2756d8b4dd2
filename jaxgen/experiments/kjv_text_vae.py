"""A variational autoencoder of the verses of the King James Bible, or of the lines of any text.

    python -m jaxgen.experiments.kjv_text_vae
    python -m jaxgen.experiments.kjv_text_vae --network gpt --data my.txt
    jaxgen sample runs/kjv_text_vae/001 --num 8
    jaxgen latent runs/kjv_text_vae/001 reconstruct
    jaxgen latent runs/kjv_text_vae/001 interpolate

A recurrent encoder and decoder, or a transformer of each. The decoder sees the words so far and could do without the
latents; --kl-warmup-steps, --free-bits and --word-dropout are what keeps them in use. eval/text_vae/elbo is the bound
of log p of a verse in nats; jaxgen evaluate also gives it in bits a character, to be compared with the same network
without latents: python -m jaxgen.experiments.kjv_rnn --examples lines --vocabulary bpe-2000 --layers 1
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Count, CountFromZero, Depth, NonNegativeFloat, PositiveFloat, Rate, Size, Text, within
from jaxgen.data import Dataset
from jaxgen.data.lines import load_lines
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.experiments._adamw import optimizer_of
from jaxgen.experiments._text import TextDataConfig
from jaxgen.models.text_vae import TextVAE
from jaxgen.networks.gpt import GPT
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.text_encoder import AttentionEncoder, RecurrentEncoder
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(TextDataConfig):
    """Options of kjv_text_vae."""

    steps: Count = 5_000
    """How many training steps the run has in all (875 are one epoch of the verses with --batch-size 32)."""
    batch_size: Count = 32
    """Examples per step, over all devices together."""
    vocabulary: Text = "bpe-2000"
    """What a token is: characters (those of the text), bytes, bpe-SIZE (pieces of words, learned from the text) or the
    path of a tokenizer.json."""
    sample_length: Annotated[int, *within(1, 10**7)] = 64
    """Tokens of each line in samples/, at most."""
    network: Literal["lstm", "gru", "gpt"] = "lstm"
    """Of the encoder and of the decoder."""
    layers: Depth = 1
    """Of the decoder."""
    heads: Size = 4
    """Of attention, with --network gpt."""
    width: Size = 256
    """Of the embeddings and of each layer."""
    latent_size: Size = 32
    """Length of the latent vectors."""
    beta: NonNegativeFloat = 1.0
    """Weight of the KL term."""
    kl_warmup_steps: CountFromZero = 2_000
    """Over how many steps the weight of the KL term rises from 0."""
    free_bits: NonNegativeFloat = 0.15
    """Nats that the KL term of each latent may have for nothing."""
    word_dropout: Rate = 0.25
    """How often, in training, the decoder does not see a token that came before."""
    learning_rate: PositiveFloat = 2e-3
    """Peak learning rate, reached after the warm-up."""
    weight_decay: NonNegativeFloat = 0.01
    """AdamW's weight decay, of matrices only: not of biases and norms."""
    eval_every: CountFromZero = 875
    """Steps between evaluations on the held-out examples. 0: only at the end."""
    sample_every: CountFromZero = 875
    """Steps between texts in samples/. 0: only at the end."""


def load_data(config: Config) -> Dataset:
    """The lines of the text, of at most `context` tokens."""
    return load_lines(
        config.data, sequence_length=config.context, vocabulary=config.vocabulary, data_dir=config.data_dir
    )


def build_model(config: Config, assets: Mapping[str, Any]) -> GenerativeModel:
    """Return a `TextVAE` of an encoder and a decoder of one kind.

    Raises:
      UserError: numbers out of range.
    """
    if config.micro_batches > 1:
        raise UserError("--free-bits are of a whole batch, which --micro-batches would cut up: leave it at 1.")
    if config.network == "gpt" and config.width % (2 * config.heads):
        raise UserError(f"--width {config.width} must be a multiple of twice --heads {config.heads}.")
    tokens, outputs = vocabulary_of(assets).size, 2 * config.latent_size
    if config.network == "gpt":
        encoder = AttentionEncoder(outputs, tokens, config.width, config.layers, config.heads)
        network = GPT(
            tokens,
            config.context,
            config.layers,
            config.heads,
            config.width,
            dropout=config.dropout,
            positions="rotary",
            norm="rms",
            feed_forward="swiglu",
            latent_size=config.latent_size,
        )
    else:
        encoder = RecurrentEncoder(outputs, tokens, config.width, config.network)
        network = RecurrentNetwork(
            tokens, config.width, config.layers, config.network, config.dropout, latent_size=config.latent_size
        )
    return TextVAE(
        encoder,
        network,
        latent_size=config.latent_size,
        optimizer=optimizer_of(config),
        line_end=assets["line_end"],
        beta=config.beta,
        kl_warmup_steps=config.kl_warmup_steps,
        free_bits=config.free_bits,
        word_dropout=config.word_dropout,
        sample_length=config.sample_length,
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="VAE of sentences, recurrent or of transformers",
    data="kjv, --data ...",
    expected_time="25 min on 1 CPU core",
    presets={
        "quick": Config(
            steps=200,
            width=64,
            kl_warmup_steps=100,
            sample_every=100,
            checkpoint_every=100,
            log_every=20,
            warmup_steps=20,
        ),
        "default": Config(),
        "full": Config(
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
