"""The GANs of jaxgen in PyTorch: the same networks and the same update."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from common import LATENT_SIZE, MLP_DISCRIMINATOR, MLP_GENERATOR, SLOPE, Adam
from torch import nn
from torch_training import adam_optimizer, scaled

PENALTY_NOISE = 0.01
BATCH_NORM = {"momentum": 0.1, "eps": 1e-5}


def mlp_generator(*, batch_norm: bool = False) -> nn.Module:
    return nn.Sequential(
        *_hidden((LATENT_SIZE, *MLP_GENERATOR), batch_norm=batch_norm),
        nn.Linear(MLP_GENERATOR[-1], 784),
        nn.Tanh(),
        nn.Unflatten(1, (1, 28, 28)),
    )


def mlp_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), *_hidden((784, *MLP_DISCRIMINATOR)), nn.Linear(MLP_DISCRIMINATOR[-1], 1), nn.Flatten(0)
    )


def _hidden(widths: Sequence[int], *, batch_norm: bool = False) -> Iterator[nn.Module]:
    for before, after in itertools.pairwise(widths):
        yield nn.Linear(before, after, bias=not batch_norm)
        if batch_norm:
            yield nn.BatchNorm1d(after, **BATCH_NORM)
        yield nn.LeakyReLU(SLOPE)


def dcgan_generator(
    widths: Sequence[int], *, latent_size: int = LATENT_SIZE, output_activation: nn.Module | None = None
) -> nn.Module:
    stem, first, second = widths
    return nn.Sequential(
        nn.Linear(latent_size, 7 * 7 * stem, bias=False),
        nn.Unflatten(1, (stem, 7, 7)),
        nn.BatchNorm2d(stem, **BATCH_NORM),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(stem, first, 5, 1, padding=2, bias=False),
        nn.BatchNorm2d(first, **BATCH_NORM),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(first, second, 5, 2, padding=2, output_padding=1, bias=False),
        nn.BatchNorm2d(second, **BATCH_NORM),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(second, 1, 5, 2, padding=2, output_padding=1),
        *([] if output_activation is None else [output_activation]),
    )


def dcgan_encoder(widths: Sequence[int], num_outputs: int, *, hidden_width: int | None = None) -> nn.Module:
    size, layers = 28, []
    for before, after in itertools.pairwise((1, *widths)):
        layers += [nn.Conv2d(before, after, 5, 2, padding=2), nn.LeakyReLU(SLOPE)]
        size = -(-size // 2)
    layers.append(nn.Flatten())
    features = size * size * widths[-1]
    if hidden_width is not None:
        layers += [nn.Linear(features, hidden_width), nn.LeakyReLU(SLOPE)]
        features = hidden_width
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


def dcgan_discriminator(widths: Sequence[int], *, hidden_width: int | None = None) -> nn.Module:
    return nn.Sequential(dcgan_encoder(widths, 1, hidden_width=hidden_width), nn.Flatten(0))


def initialize(network: nn.Module, *, scale: float | None) -> None:
    """Draw the weights as jaxgen does: N(0, scale^2), or with variance 1 / inputs if `scale` is None; zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if scale is not None:
                nn.init.normal_(module.weight, std=scale)
            else:  # Flax's lecun_normal: truncated at two deviations, which reduces the deviation by the factor 0.8796
                deviation = module.weight[0].numel() ** -0.5 / 0.87962566103423978
                nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def non_saturating(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the discriminator's loss and the generator's."""
    return (F.softplus(-real_logits) + F.softplus(fake_logits)).mean(), F.softplus(-fake_logits).mean()


def hinge(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the discriminator's loss and the generator's."""
    return (F.relu(1 - real_logits) + F.relu(1 + fake_logits)).mean(), -fake_logits.mean()


def gan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    adam: Adam,
    *,
    discriminator_adam: Adam | None = None,
    latent_size: int = LATENT_SIZE,
    losses: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] = non_saturating,
    r1_estimate: float = 0.0,
    clip_norm: float | None = None,
) -> Callable[[torch.Tensor], None]:
    """Return `step(rows uint8 [B, C, H, W])`, which updates both networks at the same point.

    There is one forward pass through D(G(z)) for both losses. `adam` is for both, or for the generator alone.
    """
    generator_parameters = list(generator.parameters())
    discriminator_parameters = list(discriminator.parameters())
    generator_optimizer = adam_optimizer(generator_parameters, adam)
    discriminator_optimizer = adam_optimizer(discriminator_parameters, discriminator_adam or adam)

    def step(rows: torch.Tensor) -> None:
        real = scaled(rows)
        fake_logits = discriminator(generator(torch.randn(len(rows), latent_size, device=rows.device)))
        real_logits = discriminator(real)
        discriminator_loss, generator_loss = losses(real_logits, fake_logits)
        if r1_estimate:  # as `jaxgen.models.gan.penalties.r1_estimate`, of this weight
            noisy_logits = discriminator(real + PENALTY_NOISE * torch.randn_like(real))
            discriminator_loss += r1_estimate / 2 * ((real_logits - noisy_logits) / PENALTY_NOISE).square().mean()
        discriminator_grads = torch.autograd.grad(discriminator_loss, discriminator_parameters, retain_graph=True)
        generator_grads = torch.autograd.grad(generator_loss, generator_parameters)
        for parameters, grads, optimizer in (
            (discriminator_parameters, discriminator_grads, discriminator_optimizer),
            (generator_parameters, generator_grads, generator_optimizer),
        ):
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.grad = grad
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
            optimizer.step()

    return step
