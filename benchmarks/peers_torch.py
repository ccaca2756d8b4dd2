"""The benchmark's entries in PyTorch, eager."""

import functools
from collections.abc import Callable

import torch
from common import (
    DCGAN_DISCRIMINATOR,
    DCGAN_GENERATOR,
    GPT_SIZES,
    PROBLEMS,
    SNGAN_LATENT_SIZE,
    VAE_DECODER,
    VAE_ENCODER,
    VAE_LATENT_SIZE,
    cores,
    examples,
    in_turn,
)
from torch import nn
from torch_cycle_gan import cycle_discriminator, cycle_gan_step, cycle_generator
from torch_diffusion import UNet, diffusion_step
from torch_gan import (
    dcgan_discriminator,
    dcgan_encoder,
    dcgan_generator,
    gan_step,
    hinge,
    mlp_discriminator,
    mlp_generator,
)
from torch_gpt import GPT, language_model_step
from torch_sngan import sngan_discriminator, sngan_generator
from torch_stylegan2 import Discriminator, Generator, stylegan2_step
from torch_vae import vae_step
from torch_vq_vae import vq_decoder, vq_encoder, vq_vae_step

Networks = tuple[nn.Module, ...]


def mlp_gan() -> Networks:
    return mlp_generator(), mlp_discriminator()


def dcgan() -> Networks:
    return dcgan_generator(DCGAN_GENERATOR, output_activation=nn.Tanh()), dcgan_discriminator(DCGAN_DISCRIMINATOR)


def conv_vae() -> Networks:
    encoder = dcgan_encoder(VAE_ENCODER, 2 * VAE_LATENT_SIZE)
    return encoder, dcgan_generator(VAE_DECODER, latent_size=VAE_LATENT_SIZE)


def sngan() -> Networks:
    return sngan_generator(), sngan_discriminator()


def vq_vae() -> Networks:
    return vq_encoder(), vq_decoder()


def cycle_gan() -> Networks:
    return cycle_generator(), cycle_generator(), cycle_discriminator(), cycle_discriminator()


def stylegan2() -> Networks:
    size, _, channels = PROBLEMS["stylegan2"].image_shape
    return Generator(channels, size), Discriminator(channels, size)


def diffusion() -> Networks:
    size, _, channels = PROBLEMS["diffusion"].image_shape
    return (UNet(channels, size),)


def gpt() -> Networks:
    return (GPT(**GPT_SIZES),)


NETWORKS = {
    "mlp_gan": mlp_gan,
    "dcgan": dcgan,
    "conv_vae": conv_vae,
    "sngan": sngan,
    "vq_vae": vq_vae,
    "cycle_gan": cycle_gan,
    "stylegan2": stylegan2,
    "diffusion": diffusion,
    "gpt": gpt,
}
STEPS = {
    "mlp_gan": gan_step,
    "dcgan": gan_step,
    "conv_vae": vae_step,
    "sngan": functools.partial(gan_step, latent_size=SNGAN_LATENT_SIZE, losses=hinge),
    "vq_vae": vq_vae_step,
    "cycle_gan": cycle_gan_step,
    "stylegan2": stylegan2_step,
    "diffusion": diffusion_step,
    "gpt": language_model_step,
}


def train(name: str, change: Callable[[nn.Module], nn.Module] = lambda network: network) -> Callable[[int], None]:
    """Return a function that runs steps of an entry, on a GPU if there is one; `change` transforms the networks."""
    torch.set_num_threads(cores())
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    if on_gpu:  # products in TensorFloat-32, as XLA has them too, and the fastest convolution that is found
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    problem = PROBLEMS[name]
    data = torch.from_numpy(examples(problem)).to(device)  # uint8
    if problem.image_shape is not None:
        data = data.permute(0, 3, 1, 2).contiguous()
    networks = [change(network.to(device)) for network in NETWORKS[name]()]
    step = STEPS[name](*networks, problem.adam)
    advance = in_turn(lambda position: step(data[position : position + problem.batch_size]), problem)

    def run(steps: int) -> None:
        advance(steps)
        if on_gpu:
            torch.cuda.synchronize()

    return run


BUILDERS = {name: functools.partial(train, name) for name in NETWORKS}
