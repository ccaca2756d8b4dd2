"""Images in a .npz file: what `jaxgen sample` and `jaxgen augment` write, or any array of images."""

from pathlib import Path

import numpy as np

from jaxgen.data.dataset import Dataset, unscale_images
from jaxgen.errors import UserError

IMAGE_ENTRIES = ("image", "images", "samples", "arr_0")
LABEL_ENTRIES = ("label", "labels")


def load_npz(path: str | Path) -> Dataset:
    """The images of a .npz file as a data set without a test split.

    `image` uint8 [H, W, C] and, where the file has labels, `label` int32. See `read_npz`.
    """
    arrays = read_npz(Path(path).expanduser())
    names = [str(k) for k in range(int(arrays["label"].max()) + 1)] if "label" in arrays else None
    return Dataset(Path(path).stem, arrays, assets={"class_names": names} if names else {})


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """`image` uint8 [N, H, W, C], and `label` int32 [N] if there are labels.

    The images are the entry `image`, `images`, `samples` or `arr_0`: uint8, or floats in [-1, 1]; [N, H, W, C] or
    [N, H, W]. The labels are the entry `label` or `labels`.

    Raises:
      UserError: no such file, no such entry, another shape or range.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}: check the path.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = next((arrays[name] for name in IMAGE_ENTRIES if name in arrays), None)
            labels = next((arrays[name] for name in LABEL_ENTRIES if name in arrays), None)
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as a .npz file of arrays ({error}): write it with np.savez.") from error
    if images is None:
        raise UserError(f"{path} has no images: it must have an entry {' or '.join(IMAGE_ENTRIES)}.")
    images = as_uint8_images(images, str(path))
    if labels is None:
        return {"image": images}
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise UserError(f"{path} must have one label of 0, 1, 2, ... for each of its {len(images)} images.")
    return {"image": images, "label": labels.astype(np.int32)}


def as_uint8_images(images: np.ndarray, name: str) -> np.ndarray:
    """Images [N, H, W, C] or [N, H, W], uint8 or floats in [-1, 1], as uint8 [N, H, W, C].

    Raises:
      UserError: another shape, type or range; `name` says whose.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise UserError(
            f"{name} has an array of shape {list(images.shape)}: images are [N, H, W, C] with 1 (grey) or 3 (RGB) "
            "channels last."
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{name} has images of type {images.dtype}: store uint8 (0..255) or floats in [-1, 1].")
    low, high = float(images.min()), float(images.max())
    if not (-1.001 <= low < 0.0 and high <= 1.001):  # without a negative value they are from 0 to 1
        raise UserError(
            f"{name} has floats from {low:g} to {high:g}: images are uint8 (0..255) or floats in [-1, 1]; scale them."
        )
    return unscale_images(images)
