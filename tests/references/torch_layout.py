"""Files of `torch.save` without their numbers: a few kB of what PyTorch wrote, to which tests add their own numbers."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def strip_numbers(source: Path, layout: Path) -> None:
    """Copies a file of PyTorch without its storages."""
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(layout, "w", zipfile.ZIP_DEFLATED) as without_numbers:
        for name in whole.namelist():
            if "/data/" not in name:
                without_numbers.writestr(name, whole.read(name))


def fill_layout(layout: Path, arrays: Iterable[np.ndarray], target: Path) -> None:
    """Copies a layout and adds the arrays, in the order of the state dict."""
    target.write_bytes(layout.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        folder = archive.namelist()[0].split("/")[0]
        for key, array in enumerate(arrays):
            archive.writestr(f"{folder}/data/{key}", array.tobytes())
