"""SNGAN's residual networks for 32x32 images, as in `jaxgen.networks.sngan`, in PyTorch."""

from common import SNGAN_LATENT_SIZE, SNGAN_WIDTH
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch_gan import BATCH_NORM


class Residual(nn.Module):
    """The sum of a branch and a shortcut."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        return self.branch(inputs) + self.shortcut(inputs)


class SumOfPixels(nn.Module):
    """The sum over pixels, [B, C, H, W] -> [B, C]."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.sum((2, 3))


def sngan_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(SNGAN_LATENT_SIZE, 4 * 4 * SNGAN_WIDTH),
        nn.Unflatten(1, (SNGAN_WIDTH, 4, 4)),
        *(_up_block() for _ in range(3)),
        nn.BatchNorm2d(SNGAN_WIDTH, **BATCH_NORM),
        nn.ReLU(),
        nn.Conv2d(SNGAN_WIDTH, 3, 3, padding=1),
        nn.Tanh(),
    )


def _up_block() -> nn.Module:
    width = SNGAN_WIDTH
    branch = nn.Sequential(
        nn.BatchNorm2d(width, **BATCH_NORM),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width, **BATCH_NORM),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
    )
    return Residual(branch, nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.Upsample(scale_factor=2)))


def sngan_discriminator() -> nn.Module:
    width = SNGAN_WIDTH
    return nn.Sequential(
        Residual(
            nn.Sequential(_conv(3, 3), nn.ReLU(), _conv(width, 3), nn.AvgPool2d(2)),
            nn.Sequential(nn.AvgPool2d(2), _conv(3, 1)),
        ),
        Residual(
            nn.Sequential(nn.ReLU(), _conv(width, 3), nn.ReLU(), _conv(width, 3), nn.AvgPool2d(2)),
            nn.Sequential(nn.AvgPool2d(2), _conv(width, 1)),
        ),
        *(
            Residual(nn.Sequential(nn.ReLU(), _conv(width, 3), nn.ReLU(), _conv(width, 3)), nn.Identity())
            for _ in range(2)
        ),
        nn.ReLU(),
        SumOfPixels(),
        spectral_norm(nn.Linear(width, 1)),
        nn.Flatten(0),
    )


def _conv(channels: int, size: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(channels, SNGAN_WIDTH, size, padding="same"))
