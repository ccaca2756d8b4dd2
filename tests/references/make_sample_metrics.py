"""Makes sample_metrics.json, what other implementations say of the samples of `feature_cases` and `logits_case`.

    python tests/references/make_sample_metrics.py

Run by hand where pytorch-fid 0.3.0, torch-fidelity 0.4.0, prdc 0.2 (with scikit-learn 1.9.1), PyTorch 2.13.0 and SciPy
1.17.1 are installed, the first three without their dependencies: torchvision, which two of them import but do not need
here, is replaced by a stub. The file was made with NumPy 2.4.6.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

KID_SUBSETS, KID_SUBSET_SIZE, KID_SEED = 20, 200, 2020
SPLITS = 10


def feature_cases() -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """(real [700, 64], generated [600, 64]) float32, by name."""
    random = np.random.RandomState(0)  # its stream never changes

    def draw(count: int, spread: float, shift: float) -> np.ndarray:
        """Features as of a network: most of the variance in few directions, cut off at zero."""
        hidden = spread * random.randn(count, 16) + shift
        return np.maximum(hidden @ directions + 0.2 * random.randn(count, 64), 0.0)

    directions = random.randn(16, 64) / 4
    scales = np.logspace(0, -2, 64)
    return {
        "alike": (_float32(draw(700, 1.0, 0.0)), _float32(draw(600, 1.0, 0.0))),
        "narrow": (_float32(draw(700, 1.0, 0.0)), _float32(draw(600, 0.5, 0.2))),
        # a mean far from zero beside the spread, and variances of very different sizes
        "far": (_float32(100 + scales * random.randn(700, 64)), _float32(100 + scales * (random.randn(600, 64) + 0.3))),
    }


def _float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)


def logits_case() -> np.ndarray:
    """[605, 7]: no multiple of the number of splits."""
    random = np.random.RandomState(1)
    return 3.0 * random.randn(605, 7) + np.linspace(-2, 2, 7)


def main() -> None:
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"):
        sys.modules[name] = mock.MagicMock()
    import torch
    from prdc import compute_prdc
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

    values: dict[str, dict] = {}
    for name, pair in feature_cases().items():
        real, generated = (features.astype(np.float64) for features in pair)
        moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (real, generated)]
        # in float64: torch-fidelity itself would compute in the features' float32
        options = {
            "kid_subsets": KID_SUBSETS,
            "kid_subset_size": KID_SUBSET_SIZE,
            "rng_seed": KID_SEED,
            "verbose": False,
        }
        values[name] = {
            "frechet_distance": float(calculate_frechet_distance(*moments[0], *moments[1])),
            "squared_mmd": float(kernel_mmd(real[:600], generated)),
            "kid": kid_features_to_metric(torch.from_numpy(real), torch.from_numpy(generated), **options),
            "prdc": {k: {key: float(x) for key, x in compute_prdc(real, generated, k).items()} for k in (3, 5)},
        }
    values["logits"] = isc_features_to_metric(torch.from_numpy(logits_case()), splits=SPLITS, shuffle=False)
    path = Path(__file__).with_name("sample_metrics.json")
    path.write_text(json.dumps(values, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
