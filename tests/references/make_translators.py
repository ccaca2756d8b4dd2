"""Writes translators.npz: U-Net, ResNet and PatchGAN of pix2pix and CycleGAN in PyTorch, with random weights.

An image, weights under jaxgen's names, outputs, and the gradient of the outputs' sum of squares by the image.

Run by hand with torch 2.14.1: python tests/references/make_translators.py
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WIDTH, CHANNELS, SIZE = 4, 3, 16
generator = np.random.default_rng(0)
arrays: dict[str, np.ndarray] = {}


def weights(name: str, *shape: int, bias: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A kernel [kh, kw, C, F] and a bias [F], kept under their names."""
    arrays[f"{name}/kernel"] = 0.3 * generator.normal(size=shape)
    if bias:
        arrays[f"{name}/bias"] = 0.1 * generator.normal(size=shape[-1])
    return torch.from_numpy(arrays[f"{name}/kernel"]), torch.from_numpy(arrays[f"{name}/bias"]) if bias else None


def conv(
    name: str, x: torch.Tensor, features: int, size: int, stride: int = 1, padding: int = 0, *, bias: bool
) -> torch.Tensor:
    kernel, bias = weights(name, size, size, x.shape[1], features, bias=bias)
    return F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride, padding)


def transposed(name: str, x: torch.Tensor, features: int, size: int, *, bias: bool) -> torch.Tensor:
    """Stride 2, to twice the size; jaxgen's kernels lie the other way round."""
    kernel, bias = weights(name, size, size, x.shape[1], features, bias=bias)
    kernel = kernel.permute(2, 3, 0, 1).flip(2, 3)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1, output_padding=size % 2)


def unet(x: torch.Tensor) -> torch.Tensor:
    x, skips = conv("unet/down_0", x, WIDTH, 4, 2, 1, bias=True), []
    for i in (1, 2):
        skips.append(x)
        x = conv(f"unet/down_{i}", F.leaky_relu(x, 0.2), WIDTH * 2**i, 4, 2, 1, bias=i == 2)
        x = F.instance_norm(x) if i == 1 else x
    for i in (2, 1):
        x = F.instance_norm(transposed(f"unet/up_{i}", F.relu(x), WIDTH * 2 ** (i - 1), 4, bias=False))
        x = torch.cat([x, skips.pop()], 1)
    return torch.tanh(transposed("unet/up_0", F.relu(x), CHANNELS, 4, bias=True))


def resnet(x: torch.Tensor) -> torch.Tensor:
    """Two halvings, two blocks."""

    def reflected(i: int, x: torch.Tensor, features: int, size: int, *, bias: bool = False) -> torch.Tensor:
        pad = (size // 2,) * 4
        return conv(f"resnet/Conv_{i}", F.pad(x, pad, mode="reflect"), features, size, bias=bias)

    x = F.relu(F.instance_norm(reflected(0, x, WIDTH, 7)))
    for i in (1, 2):
        x = F.relu(F.instance_norm(conv(f"resnet/Conv_{i}", x, WIDTH * 2**i, 3, 2, 1, bias=False)))
    for i in (3, 5):
        branch = F.relu(F.instance_norm(reflected(i, x, 4 * WIDTH, 3)))
        x = x + F.instance_norm(reflected(i + 1, branch, 4 * WIDTH, 3))
    for i in (0, 1):
        up = transposed(f"resnet/ConvTranspose_{i}", x, WIDTH * 2 ** (1 - i), 3, bias=False)
        x = F.relu(F.instance_norm(up))
    return torch.tanh(reflected(7, x, CHANNELS, 7, bias=True))


def patch(x: torch.Tensor) -> torch.Tensor:
    for i, stride in enumerate((2, 2, 1)):
        x = conv(f"patch/Conv_{i}", x, WIDTH * 2**i, 4, stride, 1, bias=i == 0)
        x = F.leaky_relu(F.instance_norm(x) if i else x, 0.2)
    return conv("patch/Conv_3", x, 1, 4, 1, 1, bias=True)


def main() -> None:
    image = torch.from_numpy(generator.normal(size=(2, CHANNELS, SIZE, SIZE))).requires_grad_()
    for network in (unet, resnet, patch):
        outputs = network(image)
        (gradient,) = torch.autograd.grad(outputs.square().sum(), image)
        for name, array in (("outputs", outputs), ("gradient", gradient)):
            arrays[f"{network.__name__}:{name}"] = array.detach().permute(0, 2, 3, 1).numpy()
    arrays["image"] = image.detach().permute(0, 2, 3, 1).numpy()
    np.savez_compressed(
        Path(__file__).parent / "translators.npz", **{name: x.astype(np.float32) for name, x in arrays.items()}
    )


if __name__ == "__main__":
    main()
