"""The layers of GANs by PyTorch: conditional batch norm, spectral norm, self-attention and residual blocks.

Written from the papers with torch's own layers, in the order of operations of the papers' code. All that is random is
from NumPy's default generator with seed 0 and stored beside the results, since it is small: parameters and vectors u
under jaxgen's names (kernels [kh, kw, C, F], maps [B, H, W, C]).

Run by hand with torch 2.13.0: python tests/references/make_gan_networks.py
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import spectral_norm

RNG = np.random.default_rng(0)
ARRAYS: dict[str, np.ndarray] = {}


def draw(name: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normal float32 values, kept under `name`, as a float64 tensor."""
    ARRAYS[name] = (scale * RNG.normal(size=shape)).astype(np.float32)
    return torch.tensor(ARRAYS[name], dtype=torch.float64)


def draw_map(name: str, *shape: int) -> torch.Tensor:
    """A map [B, H, W, C] as torch's [B, C, H, W], with gradients."""
    return draw(name, *shape).permute(0, 3, 1, 2).clone().requires_grad_()


def keep(name: str, values: torch.Tensor) -> None:
    values = values.detach()
    ARRAYS[name] = (values.permute(0, 2, 3, 1) if values.ndim == 4 else values).numpy()


def convolution(name: str, size: int, channels: int, features: int, bias: bool = True) -> torch.nn.Conv2d:
    layer = torch.nn.Conv2d(channels, features, size, padding=size // 2, bias=bias, dtype=torch.float64)
    kernel = draw(f"{name}/kernel", size, size, channels, features, scale=0.3)
    layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
    if bias:
        layer.bias.data = draw(f"{name}/bias", features, scale=0.3)
    return layer


def spectral(name: str, layer: torch.nn.Module) -> torch.nn.Module:
    """The layer under torch's spectral norm, with one iteration a call from a drawn u."""
    vector = draw(f"{name}/u", layer.weight.shape[0])
    layer = spectral_norm(layer)
    layer.weight_u.copy_(vector)
    return layer


def conditional_norm(maps: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    normed = F.batch_norm(maps, None, None, training=True, eps=1e-5)
    return normed * gain[:, :, None, None] + bias[:, :, None, None]


def results(case: str, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
    """Keeps the outputs and the gradient of <outputs, cotangent> by the inputs."""
    cotangent = draw(f"{case}/cotangent", *outputs.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    keep(f"{case}/outputs", outputs)
    keep(f"{case}/input_gradient", torch.autograd.grad((outputs * cotangent).sum(), inputs, retain_graph=True)[0])


def norms() -> None:
    inputs, labels = draw_map("norm/inputs", 5, 3, 4, 6), torch.tensor([0, 2, 1, 2, 2])
    ARRAYS["norm/labels"] = labels.numpy().astype(np.int32)
    gains, biases = draw("norm/params/gain/embedding", 3, 6), draw("norm/params/bias/embedding", 3, 6)
    results("norm", inputs, conditional_norm(inputs, F.embedding(labels, gains), F.embedding(labels, biases)))

    inputs, vectors = draw_map("vector_norm/inputs", 5, 3, 4, 6), draw("vector_norm/vectors", 5, 7)
    gain, bias = draw("vector_norm/params/gain/kernel", 7, 6), draw("vector_norm/params/bias/kernel", 7, 6)
    results("vector_norm", inputs, conditional_norm(inputs, 1 + vectors @ gain, vectors @ bias))


def spectral_convolution() -> None:
    inputs = draw_map("spectral/inputs", 2, 5, 5, 4)
    layer = spectral("spectral", convolution("spectral/params", 3, 4, 6))
    outputs = layer(inputs)
    results("spectral", inputs, outputs)
    cotangent = torch.tensor(ARRAYS["spectral/cotangent"], dtype=torch.float64).permute(0, 3, 1, 2)
    (gradient,) = torch.autograd.grad((outputs * cotangent).sum(), layer.weight_orig)
    ARRAYS["spectral/kernel_gradient"] = gradient.permute(2, 3, 1, 0).numpy()
    keep("spectral/new_u", layer.weight_u)


def attention() -> None:
    inputs = draw_map("attention/inputs", 2, 6, 6, 16)
    query, key, value, output = (
        convolution(f"attention/params/{name}", 1, *widths, bias=False)
        for name, widths in {"query": (16, 2), "key": (16, 2), "value": (16, 8), "output": (8, 16)}.items()
    )
    gamma = draw("attention/params/gamma")
    queries = query(inputs).flatten(2)  # [B, 2, 36]
    keys, values = (F.max_pool2d(layer(inputs), 2).flatten(2) for layer in (key, value))  # [B, 2, 9], [B, 8, 9]
    weights = F.softmax(queries.transpose(1, 2) @ keys, -1)  # [B, 36, 9]
    attended = (values @ weights.transpose(1, 2)).reshape(2, 8, 6, 6)
    results("attention", inputs, gamma * output(attended) + inputs)


def up_block() -> None:
    inputs, labels = draw_map("up/inputs", 4, 3, 3, 6), torch.tensor([1, 0, 1, 2])
    ARRAYS["up/labels"] = labels.numpy().astype(np.int32)
    embeddings = [
        [draw(f"up/params/ConditionalBatchNorm_{i}/{name}/embedding", 3, width) for name in ("gain", "bias")]
        for i, width in enumerate((6, 8))
    ]
    first = convolution("up/params/Conv_0", 3, 6, 8, bias=False)
    second = convolution("up/params/Conv_1", 3, 8, 8, bias=False)
    shortcut = convolution("up/params/Conv_2", 1, 6, 8, bias=False)

    def norm(i: int, maps: torch.Tensor) -> torch.Tensor:
        return conditional_norm(maps, *(F.embedding(labels, table) for table in embeddings[i]))

    hidden = first(F.interpolate(F.relu(norm(0, inputs)), scale_factor=2))
    hidden = second(F.relu(norm(1, hidden)))
    results("up", inputs, hidden + shortcut(F.interpolate(inputs, scale_factor=2)))


def down_blocks() -> None:
    for case, first, middle in (("down", False, 6), ("first_down", True, 8)):
        inputs = draw_map(f"{case}/inputs", 2, 6, 6, 6)
        layers = [
            spectral(f"{case}/u{i}", convolution(f"{case}/params/Conv_{i}", *sizes))
            for i, sizes in enumerate(((3, 6, middle), (3, middle, 8), (1, 6, 8)))
        ]
        hidden = layers[1](F.relu(layers[0](inputs if first else F.relu(inputs))))
        shortcut = layers[2](F.avg_pool2d(inputs, 2)) if first else F.avg_pool2d(layers[2](inputs), 2)
        results(case, inputs, F.avg_pool2d(hidden, 2) + shortcut)


def main() -> None:
    for case in (norms, spectral_convolution, attention, up_block, down_blocks):
        case()
    np.savez_compressed(Path(__file__).with_name("gan_networks.npz"), **ARRAYS)


if __name__ == "__main__":
    main()
