"""Reads the tensors of a file that PyTorch wrote, without PyTorch and without running anything that the file says.

Such a file is a pickle, and a pickle may name any function of Python to be called while it is read. Here it gets only
the few names that a dictionary of tensors needs, and these give descriptions of tensors, made into arrays afterwards.
"""

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxgen.errors import UserError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file of before PyTorch 1.6; the next three are the protocol, the machine and the object."""

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_torch_state(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name, from a file of `torch.save` in the zip format or that of before 1.6.

    Raises:
      UserError: no such file, another kind of file, or one with more in it than named tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _read_zip(file) if is_zip else _read_legacy(file)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: check the path.") from None
    except _Refused as error:
        raise UserError(f"{path} is not read: {error}; only a state dict of plain tensors is.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} is no state dict of PyTorch, or it is damaged ({error!r}).") from error


class _Refused(Exception):
    """The file has something in it that a state dict has not."""


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Knows the names in `_allowed`, and no other."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._names = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise _Refused(f"it asks for {module}.{name}") from None

    def persistent_load(self, description: Any) -> _Storage:
        kind, dtype, key, _, _, *view = description
        if kind != "storage" or not isinstance(key, str) or dtype not in STORAGES.values():
            raise _Refused(f"it has a storage of an unknown kind, {description!r}")
        if view not in ([], [None]):
            raise _Refused("it has views of storages, as PyTorch wrote before 1.0")
        return _Storage(key, dtype)


def _allowed() -> Mapping[tuple[str, str], Any]:
    """What a state dict's pickle names. Made anew for each file: a pickle can set attributes of what it is given."""

    def rebuild_tensor(
        storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)

    def rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
        return tensor

    return {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
        # A string, since there is nothing that a pickle could do with one.
        **{("torch", storage): dtype for storage, dtype in STORAGES.items()},
    }


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    """One archive: the pickle, and each storage in a file of its own."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickled = next(name for name in names if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise _Refused("its numbers are not in little-endian order")
        with archive.open(pickled) as pickle_file:
            tensors = _checked(_Unpickler(pickle_file).load())
        return {
            name: _array(tensor, archive.read(f"{folder}data/{tensor.storage.key}")) for name, tensor in tensors.items()
        }


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    """Pickles in a row, and after them each storage: its number of elements, then these."""
    if _Unpickler(file).load() != LEGACY_MAGIC:
        raise _Refused("it is the pickle of something else")
    for _ in ("protocol", "machine"):
        _Unpickler(file).load()
    tensors = _checked(_Unpickler(file).load())
    item_sizes = {tensor.storage.key: np.dtype(tensor.storage.dtype).itemsize for tensor in tensors.values()}
    content = {}
    for key in _Unpickler(file).load():
        count = int.from_bytes(file.read(8), "little")
        content[key] = file.read(count * item_sizes[key])
    return {name: _array(tensor, content[tensor.storage.key]) for name, tensor in tensors.items()}


def _checked(state: Any) -> dict[str, _Tensor]:
    """The pickled object, if it is a dictionary of tensors by name."""
    if not isinstance(state, dict):
        raise _Refused(f"it holds a {type(state).__name__}")
    for name, tensor in state.items():
        if not (isinstance(name, str) and isinstance(tensor, _Tensor) and isinstance(tensor.storage, _Storage)):
            raise _Refused(f"its entry {name!r} is no tensor")
    return state


def _array(tensor: _Tensor, content: bytes) -> np.ndarray:
    """The elements of a storage that a tensor names, in an array of its own."""
    elements = np.frombuffer(content, tensor.storage.dtype)
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    inside = min((tensor.offset, *tensor.shape, *tensor.strides)) >= 0 and last < len(elements)
    # More elements than the storage has: a few bytes could ask for any amount of memory.
    if math.prod(tensor.shape) > 0 and not (inside and math.prod(tensor.shape) <= len(elements)):
        raise _Refused(f"a tensor of shape {tensor.shape} does not fit into its {len(elements)} numbers")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    return np.ndarray(tensor.shape, elements.dtype, content, tensor.offset * elements.itemsize, strides).copy()
