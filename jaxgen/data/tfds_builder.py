"""Finding a prepared set of tensorflow-datasets by name, with a one-sentence message for every failure."""

import contextlib
import difflib
import importlib.util
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from jaxgen.core.errors import UserError

FILE_FORMAT = "array_record"
"""File format of tensorflow-datasets with random access that is read without TensorFlow."""
TEST_SPLITS = ("test", "validation")
_NAME = re.compile(r"[A-Za-z]\w*(/[\w.-]+)?(:[\d.*]+)?")


Examples = Sequence[Mapping[str, np.ndarray]]
"""A split with random access."""


class PreparedSet(Protocol):
    """The part of `tfds.core.DatasetBuilder` used here, which its own types do not declare."""

    @property
    def info(self) -> Any: ...

    def as_data_source(self, *, split: str) -> Examples: ...


def find_builder(name: str, data_dir: str | Path | None, known_names: Sequence[str]) -> PreparedSet:
    """Return the `tfds.core.DatasetBuilder` of a prepared set, in `data_dir` or the folder of tensorflow-datasets.

    Existing files are read as they are. If there are none and TensorFlow is installed, the set is prepared.

    Raises:
      UserError: the set is unknown or cannot be prepared, see `jaxgen.data.tfds_source.load_tfds`.
    """
    if not _NAME.fullmatch(name):
        raise _unknown(name, known_names)
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import read_only_builder

    logging.getLogger("absl").addFilter(_is_no_chatter)
    folder = None if data_dir is None else str(Path(data_dir).expanduser())
    options = {"data_dir": folder, "file_format": FILE_FORMAT}
    try:
        return cast(PreparedSet, read_only_builder.builder_from_files(name, **options))
    except tfds.core.DatasetNotFoundError:
        pass
    except Exception as error:
        if "does not match the file formats" not in str(error):
            raise UserError(f"The prepared set {name} cannot be opened: {_first_line(error)}") from error
        raise UserError(
            f"The prepared set {name} is not in the file format {FILE_FORMAT}, which has random access: "
            f"prepare it with tfds build --file_format={FILE_FORMAT}."
        ) from error
    where = f"{folder or 'The folder of tensorflow-datasets'} holds no {FILE_FORMAT} files of {name}"
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    try:
        with contextlib.nullcontext() if has_tensorflow else _quiet():
            builder = tfds.builder(name, **options)
            if has_tensorflow:
                builder.download_and_prepare()
                return cast(PreparedSet, builder)
    except tfds.core.DatasetNotFoundError:
        raise _unknown(name, known_names) from None
    except Exception as error:
        if "BuilderConfig" in str(error):
            raise _unknown_variant(name) from error
        if has_tensorflow:
            raise UserError(f"{where} and preparing them failed: {_first_line(error)}") from error
    raise UserError(
        f"{where}: point --data-dir at a folder of prepared data, or pip install 'jaxgen[tensorflow]' to prepare it."
    )


def train_and_test(builder: PreparedSet, name: str) -> tuple[str, str | None]:
    """Return the splits to train on and to test on; None for the second if the set has no test split.

    Raises:
      UserError: no split is named train.
    """
    splits = builder.info.splits
    if "train" not in splits:
        raise UserError(f"The set {name} has no split named train, only {', '.join(splits)}.")
    return "train", next((split for split in TEST_SPLITS if split in splits), None)


def _unknown(name: str, known_names: Sequence[str]) -> UserError:
    import tensorflow_datasets as tfds

    names = list(known_names)
    with contextlib.suppress(Exception):
        names += tfds.list_builders(with_community_datasets=False)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return UserError(
        f"No data is named {name!r}{hint}: choose from {', '.join(known_names)}, an existing folder of images, "
        "or a name of tensorflow-datasets."
    )


def _unknown_variant(name: str) -> UserError:
    import tensorflow_datasets as tfds

    set_name, _, variant = name.partition(":")[0].partition("/")
    known = [config.name for config in tfds.builder_cls(set_name).BUILDER_CONFIGS]
    return UserError(f"The set {set_name} has no variant {variant!r}: choose from {', '.join(known)}.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_no_chatter(record: logging.LogRecord) -> bool:
    """Return False for warnings that tensorflow-datasets logs in ordinary use."""
    message = record.getMessage()
    return "OpenCV is not installed" not in message and "has no dataset_info.json" not in message


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the banner that tensorflow-datasets prints when a set's code tries to import TensorFlow and fails."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
