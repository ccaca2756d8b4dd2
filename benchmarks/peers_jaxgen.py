"""The benchmark's entries in jaxgen: its networks, its models and the dispatch of its training loop."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from common import (
    CLIP_NORM,
    CODE_SIZE,
    CODEBOOK_DECAY,
    COMMITMENT,
    CYCLE_BLOCKS,
    CYCLE_BUFFER,
    CYCLE_HALVINGS,
    CYCLE_JUDGE_HALVINGS,
    CYCLE_WEIGHT,
    CYCLE_WIDTH,
    DATA_VARIANCE,
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    GPT_SIZES,
    IDENTITY_WEIGHT,
    LATENT_SIZE,
    MAPPING_LAYERS,
    MIXING,
    MLP_DISCRIMINATOR,
    MLP_GENERATOR,
    NUM_CODES,
    PATH_EVERY,
    PATH_WEIGHT,
    PROBLEMS,
    R1_EVERY,
    R1_WEIGHT,
    SNGAN_LATENT_SIZE,
    SNGAN_WIDTH,
    STYLE_EMA,
    STYLE_LATENT_SIZE,
    STYLE_MAPS,
    UNET_ATTENTION_SIZES,
    UNET_BLOCKS,
    UNET_FACTORS,
    UNET_HEAD_WIDTH,
    UNET_PATCH,
    UNET_WIDTH,
    VAE_DECODER,
    VAE_ENCODER,
    VAE_LATENT_SIZE,
    VQ_BLOCKS,
    VQ_WIDTH,
    WEIGHT_DECAY,
    Adam,
    examples,
)

from jaxgen.core.model import GenerativeModel
from jaxgen.data.dataset import Dataset, as_stored, example_batch, scale_images
from jaxgen.data.pairs import scale_both
from jaxgen.models.autoregressive.sequences import SequenceModel
from jaxgen.models.diffusion import Diffusion, edm, lognormal
from jaxgen.models.gan import GAN
from jaxgen.models.image_to_image import CycleGAN
from jaxgen.models.likelihoods import bernoulli, scaled_squared_error
from jaxgen.models.stylegan2 import StyleGAN2, lazy_adam
from jaxgen.models.vae import VAE, gaussian_posterior
from jaxgen.models.vq_vae import VQVAE
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from jaxgen.networks.gpt import GPT
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator
from jaxgen.networks.sngan import SNGANDiscriminator, SNGANGenerator
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from jaxgen.networks.translators import PatchDiscriminator, ResNetTranslator
from jaxgen.networks.unet import UNet
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.training.dispatch import build_dispatch
from jaxgen.training.parallel import device_mesh, replicate


def mlp_gan(adam: Adam) -> GenerativeModel:
    return image_gan(MLPGenerator(widths=MLP_GENERATOR), MLPDiscriminator(widths=MLP_DISCRIMINATOR), adam)


def dcgan(adam: Adam) -> GenerativeModel:
    return image_gan(DCGANGenerator(widths=DCGAN_GENERATOR), DCGANDiscriminator(widths=DCGAN_DISCRIMINATOR), adam)


def sngan(adam: Adam) -> GenerativeModel:
    networks = SNGANGenerator(width=SNGAN_WIDTH), SNGANDiscriminator(width=SNGAN_WIDTH)
    return image_gan(*networks, adam, latent_size=SNGAN_LATENT_SIZE, loss="hinge")


def image_gan(
    generator: nn.Module, discriminator: nn.Module, adam: Adam, *, latent_size: int = LATENT_SIZE, **options: Any
) -> GenerativeModel:
    """Build a GAN whose networks are updated at the same point, with one forward pass through D(G(z)) for both."""
    return GAN(
        generator,
        discriminator,
        latent_size=latent_size,
        generator_optimizer=optax.adam(*adam),
        discriminator_optimizer=optax.adam(*adam),
        ema_decay=None,
        independent_examples=True,
        **options,
    ).model()


def conv_vae(adam: Adam) -> GenerativeModel:
    posterior = gaussian_posterior(VAE_LATENT_SIZE)
    return VAE(
        DCGANEncoder(posterior.num_outputs, widths=VAE_ENCODER),
        DCGANGenerator(widths=VAE_DECODER, output_activation=None),
        posterior=posterior,
        likelihood=bernoulli(),
        optimizer=optax.adam(*adam),
    ).model()


def conv_vq_vae(adam: Adam) -> GenerativeModel:
    height, width, channels = PROBLEMS["vq_vae"].image_shape
    sizes = {"width": VQ_WIDTH, "residual_width": VQ_WIDTH, "residual_blocks": VQ_BLOCKS}
    return VQVAE(
        VQEncoder(CODE_SIZE, **sizes),
        VQDecoder(channels, **sizes),
        likelihood=scaled_squared_error(DATA_VARIANCE),
        num_codes=NUM_CODES,
        code_size=CODE_SIZE,
        grid_shape=(height // 4, width // 4),
        optimizer=optax.adam(*adam),
        commitment=COMMITMENT,
        decay=CODEBOOK_DECAY,
        revive_below=0.0,
    ).model()


def cycle(adam: Adam) -> GenerativeModel:
    return CycleGAN(
        ResNetTranslator(3, CYCLE_WIDTH, CYCLE_HALVINGS, CYCLE_BLOCKS),
        PatchDiscriminator(CYCLE_WIDTH, CYCLE_JUDGE_HALVINGS),
        generator_optimizer=optax.adam(*adam),
        discriminator_optimizer=optax.adam(*adam),
        cycle_weight=CYCLE_WEIGHT,
        identity_weight=IDENTITY_WEIGHT,
        buffer_size=CYCLE_BUFFER,
    ).model()


def style_gan(adam: Adam) -> GenerativeModel:
    maps = {"image_shape": PROBLEMS["stylegan2"].image_shape, **STYLE_MAPS}
    return StyleGAN2(
        StyleGAN2Generator(**maps, style_size=STYLE_LATENT_SIZE, mapping_layers=MAPPING_LAYERS),
        StyleGAN2Discriminator(**maps),
        latent_size=STYLE_LATENT_SIZE,
        generator_optimizer=lazy_adam(adam.learning_rate, PATH_EVERY),
        discriminator_optimizer=lazy_adam(adam.learning_rate, R1_EVERY),
        r1_weight=R1_WEIGHT,
        r1_every=R1_EVERY,
        path_weight=PATH_WEIGHT,
        path_every=PATH_EVERY,
        mixing_prob=MIXING,
        ema_decay=STYLE_EMA,
    ).model()


def edm_diffusion(adam: Adam) -> GenerativeModel:
    shape = PROBLEMS["diffusion"].image_shape
    network = UNet(
        shape[-1],
        UNET_WIDTH,
        UNET_FACTORS,
        UNET_BLOCKS,
        attention_sizes=UNET_ATTENTION_SIZES,
        head_width=UNET_HEAD_WIDTH,
        patch_size=UNET_PATCH,
    )
    return Diffusion(
        network,
        image_shape=shape,
        preconditioning=edm(DATA_VARIANCE**0.5),
        noise_levels=lognormal(),
        optimizer=optax.adam(*adam),
    ).model()


def gpt(adam: Adam) -> GenerativeModel:
    adamw = optax.adamw(
        *adam, weight_decay=WEIGHT_DECAY, mask=lambda params: jax.tree.map(lambda x: x.ndim > 1, params)
    )
    return SequenceModel(GPT(**GPT_SIZES), optimizer=optax.chain(optax.clip_by_global_norm(CLIP_NORM), adamw)).model()


MODELS = {
    "mlp_gan": mlp_gan,
    "dcgan": dcgan,
    "conv_vae": conv_vae,
    "sngan": sngan,
    "vq_vae": conv_vq_vae,
    "cycle_gan": cycle,
    "stylegan2": style_gan,
    "diffusion": edm_diffusion,
    "gpt": gpt,
}


def train(name: str) -> Callable[[int], None]:
    """Return a function that runs steps of an entry as the training loop does: many in one call."""
    problem = PROBLEMS[name]
    model = MODELS[name](problem.adam)
    is_text = problem.image_shape is None
    arrays = {"tokens" if is_text else "image": examples(problem)}
    prepare = as_stored if is_text else scale_images
    if name == "cycle_gan":  # the same images in the opposite order
        arrays["source"], prepare = arrays["image"][::-1].copy(), scale_both
    data = Dataset("noise", arrays, prepare=prepare)
    mesh = device_mesh()
    state = replicate(mesh, jax.jit(model.init)(jax.random.key(0), example_batch(data, problem.batch_size)))
    dispatch = build_dispatch(
        model,
        data,
        mesh,
        batch_size=problem.batch_size,
        max_steps=1,  # of a stream; resident data has no limit
        seed=0,
        start_step=0,
    )

    def run(steps: int) -> None:
        nonlocal state
        state, result = dispatch(state, steps)
        assert bool(result.finite)

    return run


BUILDERS = {name: functools.partial(train, name) for name in MODELS}
