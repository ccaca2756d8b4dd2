"""Writes torch_zip.pth and torch_legacy.pth: one state dict in both formats of PyTorch, for the tests.

    python tests/references/make_torch_files.py

Needs torch 2.13.0. The numbers are those of `arrays`, which `tests/metrics/test_torch_files.py` makes again.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from random_arrays import arrays


def main() -> None:
    state = OrderedDict((name, torch.from_numpy(array)) for name, array in arrays().items())
    state["transposed"] = state["float32"].T
    state["columns"] = state["float32"][:, 1:3]  # a view: it shares the storage, at an offset
    state["parameter"] = torch.nn.Parameter(state["float32"].clone())
    state["empty"] = torch.zeros(0, 3)
    state._metadata = OrderedDict(version=1)  # as `Module.state_dict` adds
    for name, zipped in (("torch_zip.pth", True), ("torch_legacy.pth", False)):
        torch.save(state, Path(__file__).with_name(name), _use_new_zipfile_serialization=zipped)


if __name__ == "__main__":
    main()
