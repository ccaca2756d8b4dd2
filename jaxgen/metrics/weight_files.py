"""Files of trained weights: jaxgen's in safetensors, and those trained with PyTorch."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jaxgen.core.errors import UserError
from jaxgen.core.types import Variables
from jaxgen.data.limits import check_file, check_memory
from jaxgen.metrics.torch_files import read_torch_state
from jaxgen.networks.inception import InceptionV3

# Flax's name of an array in its layer -> PyTorch's.
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
# Rank -> the PyTorch axis that becomes each Flax axis.
FROM_TORCH = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}

SAFETENSORS_TYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
MOST_HEADER_BYTES = 100_000_000
"""Maximum size of a header, as in the library."""


def save_variables(path: str | Path, variables: Variables) -> None:
    """Write a network's variables {"params": {...}, ...} to safetensors, under their paths joined by "/"."""
    arrays = {name: np.asarray(array, order="C") for name, array in flatten_dict(variables, sep="/").items()}
    save_file(arrays, path)


def load_variables(path: str | Path) -> Variables:
    """Load the variables written by `save_variables`.

    Raises:
      UserError: the file does not exist, or is of another kind.
    """
    return unflatten_dict(read_safetensors(path), sep="/")


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inception_variables(path: str | Path) -> Variables:
    """Load the variables of `InceptionV3` from a file in the layout of `pt_inception-2015-12-05`.

    Args:
      path: a state dict of PyTorch, or safetensors, with PyTorch's names or those of `save_variables`.

    Raises:
      UserError: the file does not exist, or holds other arrays; the message names the first array that is missing,
        unexpected or of another shape.
    """
    state = read_safetensors(path) if Path(path).suffix.lower() == ".safetensors" else read_torch_state(path)
    torch_layer = None if any(name.startswith("params/") for name in state) else _inception_layer
    return checked_variables(state, InceptionV3(), (299, 299, 3), path, torch_layer=torch_layer)


def checked_variables(
    state: Mapping[str, np.ndarray],
    network: nn.Module,
    image_shape: tuple[int, int, int],
    source: str | Path,
    *,
    torch_layer: Callable[[str], str] | None = None,
) -> Variables:
    """Return the variables of a network, nested and float32, if the arrays are exactly these.

    PyTorch's weights [F, C, kh, kw] and [F, C] become kernels [kh, kw, C, F] and [C, F]; its counts of batches are
    dropped.

    Args:
      state: arrays by name, from the file `source`, which errors name.
      network: network that is called as `network(images [1, *image_shape], train=False)`.
      torch_layer: function from a layer's path in Flax ("a/b") to its name in PyTorch ("a.b"); None: names and axes are
        Flax's.

    Raises:
      UserError: an array is missing, unexpected or of another shape.
    """
    init = functools.partial(network.init, train=False)
    shapes = flatten_dict(jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *image_shape))))
    wanted = cast(dict[tuple[str, ...], jax.ShapeDtypeStruct], shapes)
    fault = f"{source} does not hold the weights of {type(network).__name__}"
    left = {name for name in state if not name.endswith(".num_batches_tracked")}
    variables = {}
    for path, like in wanted.items():
        name, order = "/".join(path), tuple(range(like.ndim))
        if torch_layer is not None:
            name, order = f"{torch_layer('/'.join(path[1:-1]))}.{TORCH_NAMES[path[-1]]}", FROM_TORCH[like.ndim]
        if name not in left:
            raise UserError(f"{fault}: {name} is missing.")
        shape = tuple(np.array(like.shape)[np.argsort(order)].tolist())
        if state[name].shape != shape:
            raise UserError(f"{fault}: {name} has the shape {list(state[name].shape)}, not {list(shape)}.")
        variables[path] = state[name].transpose(order).astype(np.float32)
        left.remove(name)
    if left:
        raise UserError(f"{fault}: that network has no {min(left)}.")
    return unflatten_dict(variables)


def _inception_layer(path: str) -> str:
    return {"head": "fc"}.get(path, path.replace("/", "."))


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name.

    Raises:
      UserError: the file does not exist, is of another kind, or has numbers of a type that NumPy lacks, such as FP8.
    """
    path = Path(path)
    on_disk = check_file(path)
    check_memory(path.stat().st_size, str(path), on_disk=on_disk)
    try:
        _check_types(path)
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise UserError(f"{path} cannot be read as safetensors: {reason}.") from error


def _check_types(path: Path) -> None:
    """Refuse arrays of unsupported types.

    Raises:
      UserError: an array has such a type; the message names it.
      ValueError: the header is not valid.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(path.stat().st_size, MOST_HEADER_BYTES):
            raise ValueError(f"it declares a header of {size:,} bytes")
        header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    for name, facts in header.items():
        kind = facts.get("dtype") if isinstance(facts, dict) else None
        if name != "__metadata__" and kind not in SAFETENSORS_TYPES:
            known = ", ".join(SAFETENSORS_TYPES)
            raise UserError(f"{path} has {name} of type {kind}, which is not read: save it as one of {known}.")
