"""Makes restoration.json, what other implementations say of the image pairs of `ssim_cases` and `ms_ssim_cases`.

    python tests/references/make_restoration.py

Run by hand where scikit-image 0.26.0 (with SciPy 1.17.1), pytorch-msssim 1.0.0 (with PyTorch 2.13.0) and
tensorflow-cpu 2.21.0 are installed; the file was made with NumPy 2.4.6. scikit-image and pytorch-msssim compute in
float64; TensorFlow can only do so in float32, whose rounding its values have.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Case = tuple[np.ndarray, np.ndarray, float]
"""(images [B, H, W, C], targets [B, H, W, C], max_value)."""


def _pair(height: int, width: int, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 targets (blocks, a ramp and a little noise) and 4 ways to spoil them; whole numbers only, so exact."""
    rng = np.random.default_rng(seed)
    shape = (4, height, width, channels)
    blocks = rng.integers(0, 120, (4, height // 8 + 1, width // 8 + 1, channels))
    blocks = blocks.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    ramp = (np.arange(height)[:, None] + np.arange(width)[None]) * 100 // (height + width)
    targets = blocks + ramp[None, :, :, None] + rng.integers(0, 10, shape)
    images = targets.copy()
    images[0] += rng.integers(-25, 26, shape[1:])
    images[1] += 40
    images[2] = (targets[2] + np.roll(targets[2], 1, 0) + np.roll(targets[2], 1, 1)) // 3
    images[3] = 255 - targets[3]  # its covariance with the target is negative
    return np.clip(images, 0, 255).astype(np.uint8), targets.astype(np.uint8)


def _scaled(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return tuple((x / 127.5 - 1.0).astype(np.float32) for x in pair)


def ssim_cases() -> Mapping[str, Case]:
    return {
        "grey_bytes": (*_pair(28, 28, 1, seed=0), 255.0),
        "rgb_bytes": (*_pair(33, 40, 3, seed=1), 255.0),
        "grey_floats": (*_scaled(_pair(28, 28, 1, seed=2)), 2.0),
        "rgb_floats": (*_scaled(_pair(33, 40, 3, seed=3)), 2.0),
        "one_window": (*_pair(11, 11, 1, seed=4), 255.0),
    }


def ms_ssim_cases() -> Mapping[str, Case]:
    return {
        "grey_bytes": (*_pair(176, 192, 1, seed=5), 255.0),
        "rgb_floats": (*_scaled(_pair(192, 176, 3, seed=6)), 2.0),
        "odd_sizes": (*_pair(161, 174, 1, seed=7), 255.0),
    }


def main() -> None:
    import pytorch_msssim
    import tensorflow as tf
    import torch
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    found = {"psnr": {}, "ssim": {}, "ms_ssim_pytorch_msssim": {}, "ms_ssim_tensorflow": {}}
    for name, (images, targets, max_value) in ssim_cases().items():
        pairs = list(zip(images.astype(np.float64), targets.astype(np.float64), strict=True))
        found["psnr"][name] = [peak_signal_noise_ratio(y, x, data_range=max_value) for x, y in pairs]
        options = {"gaussian_weights": True, "use_sample_covariance": False, "channel_axis": -1}
        found["ssim"][name] = [structural_similarity(x, y, data_range=max_value, **options) for x, y in pairs]
    for name, (images, targets, max_value) in ms_ssim_cases().items():
        x, y = images.astype(np.float32), targets.astype(np.float32)
        found["ms_ssim_tensorflow"][name] = tf.image.ssim_multiscale(x, y, max_value).numpy().tolist()
        if name != "odd_sizes":  # which it treats in another way
            x, y = (torch.from_numpy(a.astype(np.float64).transpose(0, 3, 1, 2)) for a in (images, targets))
            values = pytorch_msssim.ms_ssim(x, y, data_range=max_value, size_average=False, win=_window(x.shape[1]))
            found["ms_ssim_pytorch_msssim"][name] = values.tolist()
    found = {metric: {name: [float(v) for v in values] for name, values in of.items()} for metric, of in found.items()}
    Path(__file__).with_name("restoration.json").write_text(json.dumps(found, indent=1) + "\n")


def _window(channels: int):
    """pytorch-msssim's own window, which it makes in float32, in float64."""
    import torch

    window = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    return (window / window.sum()).repeat([channels, 1, 1, 1])


if __name__ == "__main__":
    main()
