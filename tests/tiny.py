"""Tiny data and tiny models."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch
from jaxgen.data import Dataset, as_stored, example_batch
from jaxgen.data.captions import random_caption
from jaxgen.data.lines import until_line_end
from jaxgen.data.pairs import scale_both
from jaxgen.models.adversarial_autoencoder import AdversarialAutoencoder
from jaxgen.models.autoencoder import Autoencoder
from jaxgen.models.autoregressive.dall_e import DALLE, Layout
from jaxgen.models.autoregressive.grids import AutoregressiveGrid, Tokenizer, binary_pixels
from jaxgen.models.autoregressive.outputs import OutputDistribution
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.models.classifier import Classifier
from jaxgen.models.contrastive import Contrastive
from jaxgen.models.diffusion import Diffusion, caption_condition, class_condition, edm, lognormal
from jaxgen.models.discrete_vae import DiscreteVAE, cosine_between
from jaxgen.models.gan.heads import Head
from jaxgen.models.gan.spec import GAN
from jaxgen.models.image_to_image import Adversary, CycleGAN, PerceptualLoss, Restoration, Translation
from jaxgen.models.image_to_image.degradations import inpainting, super_resolution
from jaxgen.models.image_to_image.stylization import Style, Stylization, Weights, style_of
from jaxgen.models.likelihoods import PixelLikelihood, bernoulli, logit_laplace
from jaxgen.models.stylegan2.spec import StyleGAN2
from jaxgen.models.text_vae import TextVAE
from jaxgen.models.vae import VAE, HierarchicalVAE, Posterior
from jaxgen.models.vae_gan import VAEGAN
from jaxgen.models.vq_vae import VQVAE
from jaxgen.networks.biggan import BigGANGenerator
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from jaxgen.networks.dit import DiT
from jaxgen.networks.dvae import DVAEDecoder, DVAEEncoder
from jaxgen.networks.feature_discriminator import FeatureDiscriminator
from jaxgen.networks.gpt import GPT
from jaxgen.networks.ladder import LadderDecoder, LadderEncoder
from jaxgen.networks.layers.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.made import TokenMADE
from jaxgen.networks.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator
from jaxgen.networks.pixel_cnn import GatedPixelCNN
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.sngan import SNGANDiscriminator
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from jaxgen.networks.super_resolution import SRResNet
from jaxgen.networks.text_encoder import AttentionEncoder, CaptionEncoder, RecurrentEncoder, TextTransformer
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator, UNetTranslator
from jaxgen.networks.unet import UNet
from jaxgen.networks.vit import ViT
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.networks.wavenet import Spoken, WaveNet

# ---------------------------------------------------------------- data


def tiny_images(size: int = 8, *, examples: int = 50, test_examples: int = 21, **options: Any) -> Dataset:
    """Random images [size, size, 1] with labels 0..9; the number of examples fits no batch size, on purpose."""
    rng = np.random.default_rng(0)

    def split(number: int) -> dict[str, np.ndarray]:
        return {
            "image": rng.integers(0, 256, (number, size, size, 1), np.uint8),
            "label": rng.integers(0, 10, number).astype(np.int32),
        }

    return Dataset("tiny", split(examples), split(test_examples), **options)


def tiny_text(*, examples: int = 50, test_examples: int = 21) -> Dataset:
    """Random windows of 7 tokens of 5 kinds."""
    rng = np.random.default_rng(0)

    def split(number: int) -> dict[str, np.ndarray]:
        return {"tokens": rng.integers(0, 5, (number, 7), np.uint8)}

    assets = {"vocabulary": {"kind": "characters", "characters": "\nabcd"}}
    return Dataset("tiny text", split(examples), split(test_examples), "text", as_stored, assets)


def tiny_lines() -> Dataset:
    """Random lines of 1 to 6 tokens of 4 kinds, in windows of 7 that begin with a line end, 0."""
    rng = np.random.default_rng(2)

    def split(number: int) -> dict[str, np.ndarray]:
        tokens = rng.integers(1, 5, (number, 8), np.uint8)
        tokens[:, 0] = 0
        return {"tokens": np.where(np.arange(8) > rng.integers(1, 7, (number, 1)), 0, tokens).astype(np.uint8)}

    def prepare(batch: Batch) -> Batch:
        return {**batch, "weights": until_line_end(batch["tokens"][:, 1:], 0)}

    assets = {"vocabulary": {"kind": "characters", "characters": "\nabcd"}, "line_end": 0}
    return Dataset("tiny lines", split(50), split(21), "text", prepare, assets)


def tiny_speech() -> Dataset:
    """The same windows, from anywhere in clips of 12 samples of 3 words, written with 4 of 2 kinds of characters."""
    rng, text = np.random.default_rng(1), tiny_text()

    def split(examples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        number = len(examples["tokens"])
        return {
            **examples,
            "label": rng.integers(0, 3, number).astype(np.int32),
            "characters": rng.integers(1, 3, (number, 4)).astype(np.uint8),
            "start": rng.integers(0, 6, number).astype(np.int32),
            "length": np.full(number, 12, np.int32),
        }

    assets = {"sample_rate": 8000}
    return Dataset("tiny speech", split(text.train), split(text.test), "audio", as_stored, assets)


def tiny_captioned(size: int = 8) -> Dataset:
    """The images of `tiny_images`, each with two captions of 1 to 5 tokens of 1 to 4; 3 and 4 begin a word."""
    data, rng = tiny_images(size), np.random.default_rng(3)

    def split(examples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        number = len(examples["image"])
        captions = rng.integers(1, 5, (number, 2, 5)).astype(np.int32)
        captions *= np.arange(5) < rng.integers(1, 6, (number, 2, 1))
        return {**examples, "captions": captions, "caption": captions[:, 0]}

    return dataclasses.replace(data, train=split(data.train), test=split(data.test))


def tiny_caption_in_training(keys: jax.Array, batch: Batch) -> jax.Array:
    starts = np.array([False, False, False, True, True])
    draw = functools.partial(random_caption, word_starts=starts, word_dropout=0.3)
    return jax.vmap(draw)(keys, batch["captions"])


TINY_PROMPTS = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [1, 1, 1, 1, 1]], np.int32)


class Streamed:
    """The examples of a split one by one, as a source."""

    def __init__(self, split: dict[str, np.ndarray]):
        self.split = split

    def __len__(self) -> int:
        return len(self.split["image"])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: values[index] for name, values in self.split.items()}


def streamed(data: Dataset) -> Dataset:
    return dataclasses.replace(data, train=Streamed(data.train))


# ---------------------------------------------------------------- models


def optimizer(learning_rate: float = 1e-2) -> optax.GradientTransformation:
    """Adam with a large epsilon: smooth in the gradient, so that rounding is not blown up to a whole step."""
    return optax.adam(learning_rate, eps=1e-2)


def tiny_mlp_gan_spec(learning_rate: float = 1e-2, **options: Any) -> GAN:
    return GAN(
        MLPGenerator((8, 8, 1), widths=(16, 32)),
        MLPDiscriminator(widths=(32, 16)),
        latent_size=6,
        generator_optimizer=optimizer(learning_rate),
        discriminator_optimizer=optimizer(learning_rate),
        **options,
    )


def tiny_mlp_gan(learning_rate: float = 1e-2, **options: Any) -> GenerativeModel:
    return tiny_mlp_gan_spec(learning_rate, **options).model()


def tiny_conditional_gan(**options: Any) -> GenerativeModel:
    return GAN(
        ConditionalGenerator(MLPGenerator((8, 8, 1), widths=(16, 32)), num_classes=10),
        ConditionalDiscriminator(MLPDiscriminator(widths=(32, 16)), num_classes=10),
        num_classes=10,
        latent_size=6,
        generator_optimizer=optimizer(),
        discriminator_optimizer=optimizer(),
        **options,
    ).model()


def tiny_gan_with_head(
    head: Head, head_outputs: int, generator: nn.Module | None = None, **options: Any
) -> GenerativeModel:
    return GAN(
        generator or ConditionalGenerator(MLPGenerator((8, 8, 1), widths=(16, 32)), num_classes=10),
        MLPDiscriminator(widths=(32, 16), head_outputs=head_outputs),
        num_classes=10,
        head=head,
        latent_size=6,
        generator_optimizer=optimizer(),
        discriminator_optimizer=optimizer(),
        **options,
    ).model()


def tiny_dcgan(size: int, **options: Any) -> GenerativeModel:
    return GAN(
        DCGANGenerator((size, size, 1), 4),
        DCGANDiscriminator((size, size, 1), 4),
        latent_size=6,
        generator_optimizer=optimizer(),
        discriminator_optimizer=optimizer(),
        **options,
    ).model()


def tiny_residual_gan(**options: Any) -> GenerativeModel:
    """Return a BigGAN whose norms depend on latents and class, with projection, attention, and spectral norms."""
    sizes = {"image_shape": (8, 8, 1), "width": 2, "num_classes": 10, "attention_size": 8}
    return GAN(
        BigGANGenerator(**sizes, shared_size=3),
        SNGANDiscriminator(**sizes | {"width": 8, "attention_size": 4}),
        latent_size=6,
        num_classes=10,
        generator_optimizer=optimizer(),
        discriminator_optimizer=optimizer(),
        **options,
    ).model()


def tiny_stylegan2(num_classes: int | None = None, size: int = 8, **options: Any) -> GenerativeModel:
    sizes = {"image_shape": (size, size, 1), "channel_base": 32, "channel_max": 6, "num_classes": num_classes}
    return StyleGAN2(
        StyleGAN2Generator(**sizes, style_size=5, mapping_layers=2),
        StyleGAN2Discriminator(**sizes),
        latent_size=6,
        **{f"{name}_optimizer": optimizer() for name in ("generator", "discriminator")} | {"ema_decay": 0.9, **options},
    ).model()


def tiny_classifier() -> GenerativeModel:
    network = ConvClassifier(num_classes=10, widths=(4, 8), num_features=16)
    return Classifier(network, optimizer=optimizer(), shift=2, label_smoothing=0.1, ema_decay=0.9).model()


def tiny_vae(
    posterior: Posterior, likelihood: PixelLikelihood, num_classes: int | None = None, **options: Any
) -> GenerativeModel:
    encoder = MLPEncoder(posterior.num_outputs, (16,), activation=jax.numpy.tanh)
    shape = (8, 8, likelihood.parameters_per_channel)
    decoder = MLPGenerator(shape, (16,), activation=jax.numpy.tanh, output_activation=None)
    if num_classes is not None:
        encoder, decoder = ConditionalDiscriminator(encoder, num_classes), ConditionalGenerator(decoder, num_classes)
    options |= {"num_classes": num_classes, "optimizer": optimizer()}
    return VAE(encoder, decoder, posterior=posterior, likelihood=likelihood, **options).model()


def tiny_convolutional_vae(posterior: Posterior) -> GenerativeModel:
    return VAE(
        DCGANEncoder(posterior.num_outputs, (8, 8, 1), 4, batch_norm=False),
        DCGANGenerator((8, 8, 1), 4, output_activation=None),
        posterior=posterior,
        likelihood=bernoulli(),
        optimizer=optimizer(),
    ).model()


def tiny_ladder_vae() -> GenerativeModel:
    sizes, widths = (4, 2), (16, 8)
    networks = LadderEncoder(sizes, widths), LadderDecoder((8, 8, 1), sizes, widths)
    return HierarchicalVAE(*networks, latent_sizes=sizes, likelihood=bernoulli(), optimizer=optimizer()).model()


def tiny_autoencoder_networks(num_outputs: int = 3) -> tuple[MLPEncoder, MLPGenerator]:
    encoder = MLPEncoder(num_outputs, (16,), activation=jax.numpy.tanh)
    return encoder, MLPGenerator((8, 8, 1), (16,), activation=jax.numpy.tanh, output_activation=None)


def tiny_denoising_autoencoder() -> GenerativeModel:
    options = {"noise_level": 0.2, "masking": 0.2, "loss": "cross_entropy", "optimizer": optimizer()}
    return Autoencoder(*tiny_autoencoder_networks(), latent_size=3, **options).model()


def tiny_adversarial_autoencoder() -> GenerativeModel:
    networks = (*tiny_autoencoder_networks(), MLPDiscriminator((8,)))
    optimizers = {"autoencoder_optimizer": optimizer(), "discriminator_optimizer": optimizer()}
    return AdversarialAutoencoder(*networks, latent_size=3, adversarial_weight=0.5, **optimizers).model()


def tiny_vae_gan() -> GenerativeModel:
    decoder = MLPGenerator((8, 8, 1), widths=(16,), batch_norm=True)
    networks = (MLPEncoder(6, (16,)), decoder, FeatureDiscriminator(widths=(4,), hidden_width=8))
    optimizers = {f"{name}_optimizer": optimizer() for name in ("encoder", "decoder", "discriminator")}
    return VAEGAN(*networks, latent_size=3, feature_weight=0.1, **optimizers).model()


def tiny_diffusion(network: str, **options: Any) -> GenerativeModel:
    sizes = {"channels": 1, "width": 8, "patch_size": 2, "dropout": 0.2, "num_classes": 10}
    if network == "unet":
        network = UNet(**sizes, factors=(1, 2), blocks=1, attention_sizes=(2,), head_width=8)
    else:
        network = DiT(**sizes, layers=1, heads=2)
    options = {"preconditioning": edm(), "noise_levels": lognormal(), "sampling_steps": 3, **options}
    return Diffusion(
        network, image_shape=(8, 8, 1), condition=class_condition(10), optimizer=optimizer(), ema_decay=0.9, **options
    ).model()


def tiny_text_to_image(**options: Any) -> GenerativeModel:
    """Diffusion of captions, by a U-Net."""
    text = TextTransformer(5, 8, 1, 2)
    sizes = {"factors": (1, 2), "blocks": 1, "attention_sizes": (2,), "head_width": 8}
    network = UNet(channels=1, width=8, patch_size=2, dropout=0.2, text=text, **sizes)
    return Diffusion(
        network,
        image_shape=(8, 8, 1),
        preconditioning=edm(),
        noise_levels=lognormal(),
        sampling_steps=3,
        condition=caption_condition(TINY_PROMPTS, tiny_caption_in_training),
        guidance=2.0,
        optimizer=optimizer(),
        ema_decay=0.9,
        **options,
    ).model()


def tiny_contrastive(kind: str = "mean", **options: Any) -> GenerativeModel:
    causal = kind == "last"
    text = TextTransformer(5, 8, 1, 2, 5, positions="learned" if causal else "rotary", causal=causal)
    image = ViT(6, 4, 8, 1, 2) if causal else ConvClassifier(6, (4, 8), 16)
    return Contrastive(
        image,
        CaptionEncoder(6, text, kind),
        optimizer=optimizer(),
        caption_in_training=tiny_caption_in_training,
        shift=1,
        ema_decay=0.9,
        **options,
    ).model()


def tiny_pairs(size: int) -> Dataset:
    """The images of `tiny_images`, each beside another one."""
    data = tiny_images(size)

    def split(examples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"image": examples["image"], "source": examples["image"][::-1].copy()}

    return dataclasses.replace(data, train=split(data.train), test=split(data.test), prepare=scale_both)


def tiny_cycle_gan() -> GenerativeModel:
    optimizers = {f"{name}_optimizer": optimizer() for name in ("generator", "discriminator")}
    networks = ResNetTranslator(1, 4, halvings=1, blocks=1), PatchDiscriminator(4, 1)
    return CycleGAN(*networks, buffer_size=5, shift=1, mirror=True, ema_decay=0.9, **optimizers).model()


def tiny_restoration() -> GenerativeModel:
    adversary = Adversary(PatchDiscriminator(4, 1), optimizer(), weight=0.1)
    network = UNetTranslator(1, 4, 2, bounded=False)
    return Restoration(
        network, degradation=inpainting(), optimizer=optimizer(), adversary=adversary, ema_decay=0.9, border=1
    ).model()


def tiny_super_resolution() -> GenerativeModel:
    perceptual_loss = PerceptualLoss(
        lambda: {"scale": jnp.ones(())}, lambda arrays, x: [arrays["scale"] * x, jnp.square(x)], 0.5
    )
    return Restoration(
        SRResNet(1, 2, 4, 1, batch_norm=True),
        degradation=super_resolution(2),
        turn=True,
        optimizer=optimizer(),
        perceptual_loss=perceptual_loss,
        border=1,
    ).model()


def tiny_translation() -> GenerativeModel:
    adversary = Adversary(PatchDiscriminator(4, 1), optimizer(), loss="hinge", weight=0.1)
    options = {"adversary": adversary, "shift": 1, "mirror": True, "ema_decay": 0.9}
    return Translation(UNetTranslator(1, 4, 2), optimizer=optimizer(), **options).model()


def all_maps(images: jax.Array) -> list[jax.Array]:
    """As many maps as EfficientNet has: the image, each time another one."""
    return [images * (1 + i) + i for i in range(8)]


def tiny_stylization() -> GenerativeModel:
    picture = jax.random.uniform(jax.random.key(3), (1, 8, 8, 1))
    style = Style(
        lambda: {"network": {"scale": jnp.ones(())}, "grams": style_of(all_maps(picture))},
        lambda variables, images: all_maps(variables["scale"] * images),
    )
    network = ResNetTranslator(1, 4, 1, 1)
    return Stylization(
        network,
        style=style,
        weights=Weights(style=1.0, smoothness=1.0),
        optimizer=optimizer(),
        turn=True,
        ema_decay=0.9,
    ).model()


def tiny_vq_vae(**options: Any) -> GenerativeModel:
    return tiny_vq_vae_spec(**options).model()


def tiny_vq_vae_spec(**options: Any) -> VQVAE:
    sizes = {"width": 4, "residual_width": 4, "residual_blocks": 1}
    networks = VQEncoder(3, **sizes), VQDecoder(1, **sizes)
    options |= {"num_codes": 6, "code_size": 3, "grid_shape": (2, 2), "optimizer": optimizer()}
    return VQVAE(*networks, likelihood=bernoulli(), **options)


@functools.cache
def tiny_first_stage() -> tuple[GenerativeModel, TrainState]:
    model = tiny_vq_vae()
    return model, jax.jit(model.init)(jax.random.key(7), example_batch(tiny_images(), 2))


def tiny_made() -> GenerativeModel:
    """Return a MADE over pixels that are binarized at random at each step."""
    options = {"optimizer": optimizer(), "tokenizer": binary_pixels(), "ema_decay": 0.9}
    return AutoregressiveGrid(TokenMADE(2, (16,), direct=True), token_shape=(8, 8), **options).model()


def tiny_tokenizer() -> Tokenizer:
    """By the first stage."""
    first, state = tiny_first_stage()

    def thaw(frozen: dict[str, Any]) -> TrainState:
        return state.replace(params=frozen["params"], model_state=frozen["model_state"])

    return Tokenizer(
        load=lambda: {"params": state.params, "model_state": state.model_state},
        encode=lambda frozen, key, batch: first.codes.draw(thaw(frozen), key, batch),
        decode=lambda frozen, tokens: first.codes.decode(thaw(frozen), tokens),
    )


def tiny_discrete_vae(**options: Any) -> GenerativeModel:
    sizes = {"width": 4, "groups": 2, "blocks": 1}
    return DiscreteVAE(
        DVAEEncoder(6, **sizes),
        DVAEDecoder(2, **sizes),
        likelihood=logit_laplace(),
        num_codes=6,
        code_size=3,
        grid_shape=(4, 4),
        optimizer=optimizer(),
        temperature=cosine_between(1.0, 0.5, 4),
        kl_weight=cosine_between(0.0, 2.0, 3),
        decay=0.5,
        ema_decay=0.9,
        **options,
    ).model()


TINY_LAYOUT = Layout(num_text_tokens=5, caption_length=5, num_codes=6, grid_shape=(2, 2))


def tiny_dall_e(**options: Any) -> GenerativeModel:
    return tiny_dall_e_spec(**options).model()


def tiny_dall_e_spec(**options: Any) -> DALLE:
    """A GPT over captions and the codes of the first stage."""
    network = GPT(TINY_LAYOUT.vocabulary_size, TINY_LAYOUT.context, layers=1, heads=2, width=8, dropout=0.2)
    options = {"caption_in_training": tiny_caption_in_training, "guidance": 2.0, "shift": 1, **options}
    shared = {"tokenizer": tiny_tokenizer(), "prompts": TINY_PROMPTS, "optimizer": optimizer(), "ema_decay": 0.9}
    return DALLE(network, TINY_LAYOUT, **shared, **options)


def tiny_two_stages() -> GenerativeModel:
    return tiny_two_stages_spec().model()


def tiny_two_stages_spec() -> AutoregressiveGrid:
    """A PixelCNN over the codes of the first stage."""
    tokenizer = tiny_tokenizer()
    network = GatedPixelCNN(6, width=4, layers=2, hidden_width=8)
    options = {"optimizer": optimizer(), "ema_decay": 0.9}
    return AutoregressiveGrid(network, token_shape=(2, 2), tokenizer=tokenizer, **options)


def tiny_gpt(**options: Any) -> GenerativeModel:
    network = GPT(5, 6, layers=1, heads=2, width=8, dropout=0.2)
    return SequenceModel(network, optimizer=optimizer(), sample_length=9, **options).model()


def tiny_wavenet(output: OutputDistribution, **options: Any) -> GenerativeModel:
    network = WaveNet(
        num_tokens=5,
        num_outputs=output.num_parameters,
        width=4,
        gate_width=3,
        skip_width=5,
        dilations=(1, 2),
        num_classes=3,
        num_characters=2,
        condition_width=3,
        dropout=0.2,
        **options,
    )

    def conditions(num_samples: int) -> tuple[Spoken]:
        ones = jax.numpy.ones((num_samples, 4), int)
        return (Spoken(jax.numpy.arange(num_samples) % 3, ones, 0 * ones[:, 0], 9 * ones[:, 0]),)

    return SequenceModel(
        network,
        output=output,
        condition_of=lambda batch: (Spoken(*(batch[name] for name in Spoken._fields)),),
        conditions=conditions,
        optimizer=optimizer(),
        sample_length=9,
        ema_decay=0.9,
    ).model()


def tiny_rnn(kind: str) -> GenerativeModel:
    network = RecurrentNetwork(5, 8, 1, kind, dropout=0.2)
    return SequenceModel(network, optimizer=optimizer(), sample_length=9, ema_decay=0.9).model()


def tiny_text_vae(kind: str) -> GenerativeModel:
    if kind == "gpt":
        encoder = AttentionEncoder(6, 5, 8, 1, 2)
        network = GPT(5, 7, 1, 2, 8, dropout=0.2, positions="rotary", latent_size=3)
    else:
        encoder, network = RecurrentEncoder(6, 5, 8, kind), RecurrentNetwork(5, 8, 2, kind, 0.2, latent_size=3)
    return TextVAE(
        encoder,
        network,
        latent_size=3,
        optimizer=optimizer(),
        line_end=0,
        kl_warmup_steps=3,
        free_bits=0.1,
        word_dropout=0.3,
        sample_length=9,
    ).model()
