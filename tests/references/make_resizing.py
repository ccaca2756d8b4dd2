"""Writes resizing.npz: pictures resized by other people's code, which `tests/metrics/test_resizing.py` compares with.

    python tests/references/make_resizing.py

Needs torch 2.13.0, torch-fidelity 0.4.0 (installed with --no-deps, its import of torchvision is not reached) and
tensorflow-cpu 2.21.0, whose `tf.compat.v1.image.resize_bilinear` is the TensorFlow 1 operation itself. The pictures are
uniform noise, `np.random.default_rng(0)`, and are not stored.
"""

import importlib.util
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch

CASES = [(16, 16, 37), (14, 14, 28), (40, 56, 24), (7, 5, 9), (3, 3, 3)]  # height, width, size


def torch_fidelity_interpolation():
    """The one file of the package that is needed: importing the package would import torchvision."""
    folder = Path(importlib.util.find_spec("torch_fidelity").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("interpolate", folder / "interpolate_compat_tensorflow.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.interpolate_bilinear_2d_like_tensorflow1x


def main() -> None:
    interpolate = torch_fidelity_interpolation()
    references = {}
    for height, width, size in CASES:
        images = np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.float32)
        nchw = torch.from_numpy(images).permute(0, 3, 1, 2)
        case = f"{height}x{width}_to_{size}"
        tensorflow1 = tf.compat.v1.image.resize_bilinear(images, (size, size), align_corners=False).numpy()
        fidelity = interpolate(nchw, size=(size, size), align_corners=False).permute(0, 2, 3, 1).numpy()
        half_pixel = torch.nn.functional.interpolate(nchw, size=(size, size), mode="bilinear", align_corners=False)
        tensorflow2 = tf.image.resize(images, (size, size), method="bilinear", antialias=False).numpy()
        references[f"tensorflow1/{case}"] = tensorflow1
        references[f"half_pixel/{case}"] = half_pixel.permute(0, 2, 3, 1).numpy()
        print(
            case,
            "torch-fidelity to TensorFlow 1:",
            np.abs(fidelity - tensorflow1).max(),
            "PyTorch to TensorFlow 2:",
            np.abs(references[f"half_pixel/{case}"] - tensorflow2).max(),
        )
    np.savez_compressed(Path(__file__).with_name("resizing.npz"), **references)


if __name__ == "__main__":
    main()
