"""Reading the tensors of a PyTorch file without PyTorch and without running any code from the file.

Such a file is a pickle, and a pickle may name any Python function to be called while it is read. This reader provides
only the few names that a dictionary of tensors needs; they return descriptions of tensors, which become arrays
afterwards.
"""

import io
import math
import pickle
import pickletools
import reprlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.limits import check_file, check_memory

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of a file from before PyTorch 1.6; the next three are the protocol, the machine and the object."""

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

_MEMO_OPERATIONS = ("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET")
_MOST_AXES = 64


def read_torch_state(path: str | Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict, by name, from a file of `torch.save` in the zip format or that of before 1.6.

    Raises:
      UserError: the file does not exist, is of another kind, has more in it than named tensors, or asks for more memory
        than both the limit of `jaxgen.data.limits` and its size on the disk.
    """
    path = Path(path)
    on_disk = check_file(path)

    def check(needed: int) -> None:
        check_memory(needed, f"What {path} declares", on_disk=on_disk)

    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _read_zip(file, check) if is_zip else _read_legacy(file, check)
    except UserError:
        raise
    except _Refused as error:
        raise UserError(f"{path} is not read: {error}; only a state dict of plain tensors is.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged pickle may raise almost anything
        reason = type(error).__name__
        raise UserError(f"{path} is no state dict of PyTorch, or it is damaged ({reason} in reading it).") from None


class _Refused(Exception):
    """Error for a file with content that a state dict does not have."""


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows only the names in `_allowed`."""

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
            raise _Refused(f"it has a storage of an unknown kind, {reprlib.repr(description)}")
        if view not in ([], [None]):
            raise _Refused("it has views of storages, as PyTorch wrote before 1.0")
        return _Storage(key, dtype)


def _allowed() -> Mapping[tuple[str, str], object]:
    """Return the names in a state dict's pickle.

    They are made anew for each file, since a pickle can set attributes of the objects it is given.
    """

    def rebuild_tensor(
        storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)

    def rebuild_parameter(tensor: _Tensor, *_: object) -> _Tensor:
        return tensor

    return {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
        # A string, since a pickle cannot do anything with one.
        **{("torch", storage): dtype for storage, dtype in STORAGES.items()},
    }


def _load(file: BinaryIO) -> Any:
    """Return the next pickle of a file, after checking that reading it allocates nothing that is not in the file."""
    start, most = file.tell(), 0
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in _MEMO_OPERATIONS:
            most = max(most, int(argument or 0))
    end = file.tell()
    if most > end - start:  # a pickle of so many bytes cannot memoize more objects; their list would be as long
        raise _Refused(f"its pickle of {end - start:,} bytes asks for {most:,} places")
    file.seek(start)
    return _Unpickler(file).load()


def _read_zip(file: BinaryIO, check: Callable[[int], None]) -> dict[str, np.ndarray]:
    """Read an archive: the pickle, and each storage in its own file."""
    with zipfile.ZipFile(file) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        pickled = next(name for name in sizes if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        check(sizes[pickled])
        if f"{folder}byteorder" in sizes and archive.open(f"{folder}byteorder").read(16) != b"little":
            raise _Refused("its numbers are not in little-endian order")
        tensors = _checked(_load(io.BytesIO(archive.read(pickled))), check)
        keys = {tensor.storage.key for tensor in tensors.values()}
        check(sum(sizes[f"{folder}data/{key}"] for key in keys))
        return _arrays(tensors, lambda key: archive.read(f"{folder}data/{key}"))


def _read_legacy(file: BinaryIO, check: Callable[[int], None]) -> dict[str, np.ndarray]:
    """Read consecutive pickles, and after them each storage: its number of elements, then these."""
    if _load(file) != LEGACY_MAGIC:
        raise _Refused("it is the pickle of something else")
    for _ in ("protocol", "machine"):
        _load(file)
    tensors = _checked(_load(file), check)
    item_sizes = {tensor.storage.key: np.dtype(tensor.storage.dtype).itemsize for tensor in tensors.values()}
    places = {}
    for key in _load(file):
        size = int.from_bytes(file.read(8), "little") * item_sizes[key]
        places[key] = (file.tell(), size)
        file.seek(size, io.SEEK_CUR)
    if any(start + size > file.seek(0, io.SEEK_END) for start, size in places.values()):
        raise _Refused("it is cut short")

    def content(key: str) -> bytes:
        start, size = places[key]
        file.seek(start)
        return file.read(size)

    return _arrays(tensors, content)


def _checked(state: object, check: Callable[[int], None]) -> dict[str, _Tensor]:
    """Return the pickled object if it is a dictionary of tensors by name that `check` accepts."""
    if not isinstance(state, dict):
        raise _Refused(f"it holds a {type(state).__name__}")
    for name, tensor in state.items():
        if not (isinstance(name, str) and isinstance(tensor, _Tensor) and isinstance(tensor.storage, _Storage)):
            raise _Refused(f"its entry {reprlib.repr(name)} is no tensor")
        if not _has_plain_shape(tensor):
            raise _Refused(f"its entry {reprlib.repr(name)} has no plain shape")
    # Several tensors may share a storage, and each becomes a separate array.
    check(sum(math.prod(tensor.shape) * np.dtype(tensor.storage.dtype).itemsize for tensor in state.values()))
    return state


def _has_plain_shape(tensor: _Tensor) -> bool:
    """Return whether its offset, shape and strides are non-negative integers within what a file can have."""
    if not (isinstance(tensor.shape, tuple) and isinstance(tensor.strides, tuple)):
        return False
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    same_rank = len(tensor.shape) == len(tensor.strides) <= _MOST_AXES
    return same_rank and all(type(number) is int and 0 <= number < 2**63 for number in numbers)


def _arrays(tensors: Mapping[str, _Tensor], content: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """Return the arrays, in order; `content` is called once for each storage, and only one is in memory at a time."""
    arrays: dict[str, Any] = dict.fromkeys(tensors)
    by_storage: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(tensor.storage.key, []).append(name)
    for key, names in by_storage.items():
        stored = content(key)
        arrays |= {name: _array(tensors[name], stored) for name in names}
    return arrays


def _array(tensor: _Tensor, content: bytes) -> np.ndarray:
    """Return the elements of a storage that a tensor names, as a separate array."""
    elements = np.frombuffer(content, tensor.storage.dtype)
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    count = math.prod(tensor.shape)
    # Refuse more elements than the storage has: a few bytes could ask for any amount of memory.
    if count > 0 and not (last < len(elements) and count <= len(elements)):
        raise _Refused(f"a tensor of shape {tensor.shape} does not fit into its {len(elements)} numbers")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    return np.ndarray(tensor.shape, elements.dtype, content, tensor.offset * elements.itemsize, strides).copy()
