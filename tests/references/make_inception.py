"""Writes inception.npz and inception_layout.pth: torch-fidelity's FID Inception with random weights, for the tests.

    python tests/references/make_inception.py

Needs torch 2.13.0 and torch-fidelity 0.4.0 (installed with --no-deps: its network does without torchvision). The
weights and images are those of random_network.py, the images resized by torch-fidelity. inception.npz has the features,
the logits and the names and shapes of the state dict, which are those of pt_inception-2015-12-05; inception_layout.pth
is that state dict as `torch.save` writes it, without the numbers, which tests add.
"""

import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
from random_network import random_images, random_state
from torch_layout import strip_numbers

HERE = Path(__file__).parent


def torch_fidelity_network():
    """The class, without what the package imports besides."""
    package = types.ModuleType("torch_fidelity")
    package.__path__ = importlib.util.find_spec("torch_fidelity").submodule_search_locations
    sys.modules["torch_fidelity"] = package
    return importlib.import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3


def untrained_state(network_class: type) -> dict[str, torch.Tensor]:
    """The state dict of a new network, which otherwise always loads weights."""

    class Untrained(network_class):
        def load_state_dict(self, _):
            pass

    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save({}, file.name)
        return Untrained("untrained", ["2048"], feature_extractor_weights_path=file.name).state_dict()


def main() -> None:
    network_class = torch_fidelity_network()
    untrained = untrained_state(network_class)
    shapes = {name: list(tensor.shape) for name, tensor in untrained.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layout.pth"
        torch.save(untrained, path)
        strip_numbers(path, HERE / "inception_layout.pth")
        weights = Path(folder) / "weights.pth"
        torch.save({name: torch.from_numpy(array) for name, array in random_state(shapes).items()}, weights)
        network = network_class("random", ["2048", "logits"], feature_extractor_weights_path=weights)
    features, logits = network(torch.from_numpy(random_images()).permute(0, 3, 1, 2))
    for name, output in (("features", features), ("logits", logits)):
        print(name, "scale", output.abs().max(), "spread over images", (output[0] - output[1]).abs().max())
    np.savez_compressed(HERE / "inception.npz", features=features, logits=logits, shapes=json.dumps(shapes))


if __name__ == "__main__":
    main()
