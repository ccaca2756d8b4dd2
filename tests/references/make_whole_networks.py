"""Writes whole_networks.npz: StyleGAN2, SRGAN, the U-Net of diffusion models and DiT in PyTorch, with random weights.

Inputs, weights under jaxgen's names, outputs, and the gradient of the outputs' sum of squares by the first input. The
U-Net is put together from the blocks of diffusers; the others are written out after their papers, StyleGAN2 with a
kernel of its own for each example and zeros between pixels.

    pip install -e '.[bench]'
    python tests/references/make_whole_networks.py
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D

generator = np.random.default_rng(0)
arrays: dict[str, np.ndarray] = {}


def array(name: str, *shape: int, mean: float = 0.0, deviation: float = 0.3) -> torch.Tensor:
    """Normal numbers, kept under their name."""
    arrays[name] = np.asarray(mean + deviation * generator.normal(size=shape))
    return torch.from_numpy(arrays[name])


def dense(name: str, x: torch.Tensor, features: int) -> torch.Tensor:
    return x @ array(f"{name}/kernel", x.shape[-1], features) + array(f"{name}/bias", features)


def conv(name: str, x: torch.Tensor, features: int, size: int, stride: int = 1, *, bias: bool = True) -> torch.Tensor:
    """ "SAME" as TensorFlow means it: with stride 2, the odd zero comes last."""
    kernel = array(f"{name}/kernel", size, size, x.shape[1], features).permute(3, 2, 0, 1)
    x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (size // 2,) * 4)
    return F.conv2d(x, kernel, array(f"{name}/bias", features) if bias else None, stride)


# ---------------------------------------------------------------- StyleGAN2, of images of 16x16 in colour, 3 classes

STYLE, LATENT, CLASSES = 6, 5, 3
WIDTHS = {4: 8, 8: 8, 16: 4}


def lrelu(x: torch.Tensor) -> torch.Tensor:
    return math.sqrt(2) * F.leaky_relu(x, 0.2)


def equalised_dense(name: str, x: torch.Tensor, features: int, *, rate: float = 1.0, bias: float = 0.0) -> torch.Tensor:
    kernel = array(f"{name}/kernel", x.shape[-1], features, deviation=1 / rate)
    return F.linear(x, kernel.T * rate / math.sqrt(x.shape[-1]), rate * array(f"{name}/bias", features, mean=bias))


def zeros_between(x: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W] -> [B, C, 2 H, 2 W], the pixels at the even places."""
    wide = x.new_zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    wide[:, :, ::2, ::2] = x
    return wide


def filtered(x: torch.Tensor, before: int, after: int, gain: float) -> torch.Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = gain * torch.outer(taps, taps) / 64
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def modulated(
    name: str, x: torch.Tensor, style: torch.Tensor, features: int, size: int = 3, *, up: bool = False
) -> torch.Tensor:
    channels = x.shape[1]
    kernel = array(f"{name}/kernel", size, size, channels, features, deviation=1.0) / (size * math.sqrt(channels))
    scales = equalised_dense(f"{name}/style", style, channels, bias=1.0)
    outputs = []
    for image, scale in zip(x, scales, strict=True):
        own = kernel.permute(3, 2, 0, 1) * scale[None, :, None, None]
        if size > 1:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            wide = zeros_between(image[None])[:, :, :-1, :-1]
            outputs.append(filtered(F.conv2d(wide, own, padding=size - 1), 1, 1, 4.0))
        else:
            outputs.append(F.conv2d(image[None], own, padding=size // 2))
    return torch.cat(outputs)


def stylegan2_generator(latents: torch.Tensor, labels: torch.Tensor, *noise: torch.Tensor) -> torch.Tensor:
    def unit(x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    name = "stylegan2_generator/mapping"
    classes = F.one_hot(labels, CLASSES).to(latents.dtype)
    hidden = torch.cat([unit(latents), unit(equalised_dense(f"{name}/embedding", classes, LATENT))], 1)
    for i in range(2):
        hidden = lrelu(equalised_dense(f"{name}/EqualisedDense_{i}", hidden, STYLE, rate=0.01))
    style, name = hidden, "stylegan2_generator/synthesis"
    constant = array(f"{name}/constant", 4, 4, WIDTHS[4], deviation=1.0).permute(2, 0, 1)
    x, image, layer = constant.expand(len(latents), -1, -1, -1), 0.0, 0
    for i, (size, width) in enumerate(WIDTHS.items()):
        for up in [False] if size == 4 else [True, False]:
            inner = f"{name}/StyledConv_{layer}"
            x = modulated(f"{inner}/ModulatedConv_0", x, style, width, up=up)
            x = x + array(f"{inner}/noise_strength") * noise[layer]
            x = lrelu(x + array(f"{inner}/bias", width)[:, None, None])
            layer += 1
        if i:
            image = filtered(zeros_between(image), 2, 1, 4.0)
        inner = f"{name}/ToImage_{i}"
        image = image + modulated(f"{inner}/ModulatedConv_0", x, style, 3, 1)
        image = image + array(f"{inner}/bias", 3)[:, None, None]
    return image


def stylegan2_discriminator(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    def equalised(name: str, x: torch.Tensor, features: int, size: int = 3, *, down: bool = False, bias: bool = True):
        kernel = array(f"{name}/kernel", size, size, x.shape[1], features, deviation=1.0)
        kernel = kernel.permute(3, 2, 0, 1) / (size * math.sqrt(x.shape[1]))
        if down:
            x = F.conv2d(filtered(x, size // 2 + 1, size // 2 + 1, 1.0), kernel, stride=2)
        else:
            x = F.conv2d(x, kernel, padding=size // 2)
        return x + array(f"{name}/bias", features)[:, None, None] if bias else x

    name = "stylegan2_discriminator"
    x = lrelu(equalised(f"{name}/EqualisedConv_0", images, WIDTHS[16], 1))
    for i, size in enumerate((8, 4)):
        block = f"{name}/DiscriminatorBlock_{i}"
        beside = equalised(f"{block}/skip", x, WIDTHS[size], 1, down=True, bias=False)
        hidden = lrelu(equalised(f"{block}/EqualisedConv_0", x, x.shape[1]))
        hidden = lrelu(equalised(f"{block}/EqualisedConv_1", hidden, WIDTHS[size], down=True))
        x = (hidden + beside) / math.sqrt(2)
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()  # one group of 4
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], 1)
    x = lrelu(equalised(f"{name}/EqualisedConv_1", x, WIDTHS[4]))
    flat = x.permute(0, 2, 3, 1).flatten(1)  # jaxgen's order of the inputs of the Dense layer
    logits = equalised_dense(
        f"{name}/EqualisedDense_1", lrelu(equalised_dense(f"{name}/EqualisedDense_0", flat, 8)), CLASSES
    )
    return logits.gather(1, labels[:, None])[:, 0]


# ---------------------------------------------------------------- SRGAN, with running averages in the norms


def batch_norm(name: str, x: torch.Tensor) -> torch.Tensor:
    channels = x.shape[1]
    mean, scale = array(f"stats/{name}/mean", channels), array(f"{name}/scale", channels, mean=1.0)
    variance = array(f"stats/{name}/var", channels).exp()
    arrays[f"stats/{name}/var"] = variance.numpy()
    return F.batch_norm(x, mean, variance, scale, array(f"{name}/bias", channels), eps=1e-5)


def srresnet(images: torch.Tensor) -> torch.Tensor:
    name, width, count = "srresnet", 4, {"Conv": 0, "BatchNorm": 0, "PReLU": 0}

    def next_of(kind: str) -> str:
        count[kind] += 1
        return f"{name}/{kind}_{count[kind] - 1}"

    def prelu(x: torch.Tensor) -> torch.Tensor:
        return F.prelu(x, array(f"{next_of('PReLU')}/negative_slope").reshape(1))

    def normed(x: torch.Tensor) -> torch.Tensor:
        return batch_norm(next_of("BatchNorm"), conv(next_of("Conv"), x, width, 3, bias=False))

    x = first = prelu(conv(f"{name}/first", images, width, 9))
    for _ in range(2):
        x = x + normed(prelu(normed(x)))
    x = first + normed(x)
    wide = conv(next_of("Conv"), x, 4 * width, 3)
    batch, _, height, length = wide.shape
    # jaxgen's channels are (row, column, feature), PyTorch's (feature, row, column)
    wide = wide.reshape(batch, 4, width, height, length).transpose(1, 2).reshape(batch, -1, height, length)
    return conv(f"{name}/last", prelu(F.pixel_shuffle(wide, 2)), 3, 9)


def sr_discriminator(images: torch.Tensor) -> torch.Tensor:
    name, x = "sr_discriminator", images
    for i in range(4):
        x = conv(f"{name}/Conv_{i}", x, 4 * 2 ** (i // 2), 3, 1 + i % 2, bias=i == 0)
        x = F.leaky_relu(batch_norm(f"{name}/BatchNorm_{i - 1}", x) if i else x, 0.2)
    hidden = F.leaky_relu(dense(f"{name}/Dense_0", x.permute(0, 2, 3, 1).flatten(1), 8), 0.2)
    return dense(f"{name}/Dense_1", hidden, 1)[:, 0]


# ---------------------------------------------------------------- denoisers, of 5 classes


def sinusoids(values: torch.Tensor, size: int, slowest: float, fastest: float) -> torch.Tensor:
    exponents = torch.arange(size // 2, dtype=values.dtype) / (size // 2 - 1)
    angles = values[:, None] * slowest * (fastest / slowest) ** exponents
    return torch.cat([angles.cos(), angles.sin()], 1)


def noise_embedding(name: str, noise: torch.Tensor, labels: torch.Tensor, size: int) -> torch.Tensor:
    hidden = F.silu(dense(f"{name}/dense_0", sinusoids(noise, size // 2, 1.0, 100.0), size))
    return F.silu(dense(f"{name}/dense_1", hidden, size) + array(f"{name}/classes", 6, size)[labels])


def take(module: torch.nn.Module, names: dict[str, str]) -> None:
    """Gives a module of diffusers random weights, kept under jaxgen's names."""
    axes = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}  # jaxgen's of PyTorch's
    with torch.no_grad():
        for theirs, parameter in module.named_parameters():
            layer, kind = theirs.rsplit(".", 1)
            norm = kind == "weight" and parameter.ndim == 1
            kind = "scale" if norm else {"weight": "kernel", "bias": "bias"}[kind]
            order = axes[parameter.ndim]
            values = array(f"{names[layer]}/{kind}", *(parameter.shape[i] for i in order), mean=1.0 * norm)
            parameter.copy_(values.permute(*np.argsort(order).tolist()))


def groups(channels: int) -> int:
    return max(n for n in range(1, 33) if channels % n == 0 and (n == 1 or channels // n >= 4))


def unet(images: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    name, width, size = "unet", 8, 32
    embedding, block = noise_embedding(f"{name}/embedding", noise, labels, size), 0

    def residual(x: torch.Tensor, features: int, resample: str | None = None) -> torch.Tensor:
        nonlocal block
        inner = f"{name}/block_{block}"
        module = ResnetBlock2D(
            in_channels=x.shape[1],
            out_channels=features,
            temb_channels=size,
            groups=groups(x.shape[1]),
            groups_out=groups(features),
            eps=1e-5,
            skip_time_act=True,  # the embedding comes activated
            time_embedding_norm="scale_shift",
            up=resample == "up",
            down=resample == "down",
        ).double()
        parts = {"norm1": "norm_0", "conv1": "conv_0", "time_emb_proj": "embedding", "norm2": "norm_1"}
        parts |= {"conv2": "conv_1", "conv_shortcut": "shortcut"}
        take(module, {theirs: f"{inner}/{ours}" for theirs, ours in parts.items()})
        x = module(x, embedding)
        if resample is None and x.shape[2] == 4:
            x = attention(f"{name}/attention_{block}", x)
        block += 1
        return x

    def attention(inner: str, x: torch.Tensor) -> torch.Tensor:
        channels, head = x.shape[1], 8
        module = Attention(
            channels,
            heads=channels // head,
            dim_head=head,
            eps=1e-5,
            norm_num_groups=groups(channels),
            bias=True,
            residual_connection=True,
        ).double()
        parts = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "output"}
        take(module, {theirs: f"{inner}/{ours}" for theirs, ours in parts.items()})
        for kind in ("kernel", "bias"):  # jaxgen has one product for the three
            joined = [arrays.pop(f"{inner}/{part}/{kind}") for part in "qkv"]
            arrays[f"{inner}/queries_keys_values/{kind}"] = np.concatenate(joined, -1)
        return module(x)

    def patches(x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B, 4 C, H / 2, W / 2], channels in the order (row, column, channel)."""
        return torch.cat([x[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)], 1)

    x = conv(f"{name}/first", patches(images), width, 3)
    skips = [x]
    for features, resample in ((8, None), (16, "down"), (16, None)):
        x = residual(x, features, resample)
        skips.append(x)
    x = residual(x, 16)
    for features in (16, 16):
        x = residual(torch.cat([x, skips.pop()], 1), features)
    x = residual(x, 16, "up")
    for features in (8, 8):
        x = residual(torch.cat([x, skips.pop()], 1), features)
    norm = array(f"{name}/last_norm/scale", 8, mean=1.0), array(f"{name}/last_norm/bias", 8)
    x = conv(f"{name}/last", F.silu(F.group_norm(x, groups(8), *norm, eps=1e-5)), 12, 3)
    pixels = x.new_zeros(images.shape)
    for i in range(4):
        pixels[:, :, i // 2 :: 2, i % 2 :: 2] = x[:, 3 * i : 3 * i + 3]
    return pixels


def dit(images: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    name, width, heads, side = "dit", 16, 2, images.shape[2] // 2
    embedding = noise_embedding(f"{name}/embedding", noise, labels, width)
    batch = len(images)
    # [B, C, row, i, column, j] -> [B, places, (i, j, C)]
    patches = images.reshape(batch, 3, side, 2, side, 2).permute(0, 2, 4, 3, 5, 1).reshape(batch, side**2, -1)
    places = torch.arange(side, dtype=images.dtype)
    line = sinusoids(places, width // 2, 1e-4, 1.0)
    positions = torch.cat([line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)], -1).flatten(0, 1)
    x = dense(f"{name}/first", patches, width) + positions

    def norm(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    for i in range(2):
        block = f"{name}/block_{i}"
        moves = dense(f"{block}/moves", embedding, 6 * width).chunk(6, 1)
        joined = dense(f"{block}/queries_keys_values", norm(x, *moves[:2]), 3 * width).chunk(3, -1)
        queries, keys, values = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in joined)
        mixed = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        x = x + moves[2][:, None] * dense(f"{block}/attention_output", mixed, width)
        hidden = F.gelu(dense(f"{block}/hidden", norm(x, *moves[3:5]), 4 * width), approximate="tanh")
        x = x + moves[5][:, None] * dense(f"{block}/output", hidden, width)
    out = dense(f"{name}/last", norm(x, *dense(f"{name}/last_moves", embedding, 2 * width).chunk(2, 1)), 12)
    return out.reshape(batch, side, side, 2, 2, 3).permute(0, 5, 1, 3, 2, 4).reshape(images.shape)


# ----------------------------------------------------------------


def record(network: Callable[..., torch.Tensor], first: torch.Tensor, *others: torch.Tensor) -> None:
    name = network.__name__
    outputs = network(first.requires_grad_(), *others)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), first)
    kept = {f"{name}:input_{i}": x for i, x in enumerate((first, *others))}
    kept |= {f"{name}:outputs": outputs, f"{name}:gradient": gradient}
    for key, tensor in kept.items():
        arrays[key] = (tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor).detach().numpy()


def main() -> None:
    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(generator.normal(size=shape))

    labels = torch.tensor([0, 2, 1, 2])
    noise = [normal(4, 1, size, size) for size in (4, 8, 8, 16, 16)]
    record(stylegan2_generator, normal(4, LATENT), labels, *noise)
    record(stylegan2_discriminator, normal(4, 3, 16, 16), labels)
    record(srresnet, normal(2, 3, 5, 6))
    record(sr_discriminator, normal(2, 3, 8, 8))
    denoised = torch.tensor([-1.0, 0.5], dtype=torch.float64), torch.tensor([1, 5])
    record(unet, normal(2, 3, 16, 16), *denoised)
    record(dit, normal(2, 3, 8, 8), *denoised)
    integers = {name: x for name, x in arrays.items() if x.dtype.kind == "i"}
    floats = {name: x.astype(np.float32) for name, x in arrays.items() if x.dtype.kind == "f"}
    np.savez_compressed(Path(__file__).parent / "whole_networks.npz", **integers, **floats)


if __name__ == "__main__":
    main()
