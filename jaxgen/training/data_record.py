"""The record that a run keeps of its data: a fingerprint in config.json, the items of each split in data.json."""

from pathlib import Path

from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.json_values import read_json
from jaxgen.core.types import Json
from jaxgen.data import music
from jaxgen.data.dataset import Dataset, is_resident, length
from jaxgen.data.embedded_sets import EMBEDDED
from jaxgen.data.identity import Identity, changes, identity_from_json, identity_of_arrays
from jaxgen.data.splits import Recorded
from jaxgen.training import run_folder
from jaxgen.training.config import TrainConfig, refuse_changes

DATA_OPTIONS = ("data", "target", "generated")
"""Options that locate the data; data that were moved are recognized by their content."""
UNCHECKED = (
    "The run was made by a version that did not record its data: whether they are still the same, and what of them was "
    "held out, cannot be checked."
)


def identity_of(data: Dataset) -> Identity | None:
    """Return the identity of a data set, or of its arrays in memory if it has none. None: unknown."""
    if data.identity is not None:
        return data.identity
    splits = [split for split in (data.train, data.test) if split is not None]
    arrays = [split for split in splits if is_resident(split)]
    return identity_of_arrays(*arrays) if len(arrays) == len(splits) else None


def describe_data(data: Dataset, identity: Identity | None) -> Json:
    """Return the description of the data in config.json."""
    counts = {"examples": length(data.train), "held_out": 0 if data.test is None else length(data.test)}
    return {"name": data.name, **counts, "fingerprint": None if identity is None else identity.fingerprint}


def write_items(run_dir: Path, identity: Identity | None) -> None:
    """Write data.json if the items are known."""
    if identity is not None:
        run_folder.write_json(run_dir / run_folder.DATA, identity.to_json())


def recorded_by(run_dir: Path, record: Json) -> Recorded:
    """Return the record of the data in a run's folder; `record` is its config.json.

    Raises:
      UserError: data.json is missing or damaged.
    """
    fingerprint = record.get("data", {}).get("fingerprint")
    if fingerprint is None:
        return Recorded(None, record["assets"])

    def check(values: object) -> None:
        if identity_from_json(values).fingerprint != fingerprint:
            raise ValueError(f"it is not what {run_folder.CONFIG} says of the data")

    values = read_json(Path(run_dir) / run_folder.DATA, check)
    return Recorded(identity_from_json(values), record["assets"])


def check_resumed(
    run_dir: Path,
    before: Json,
    now: Json,
    identity: Identity | None,
    configs: tuple[TrainConfig, TrainConfig],
) -> list[str]:
    """Refuse to continue with other data or other options than a run had; return messages for the user.

    Args:
      before, now: records of the run and of this call.
      identity: identity of the data of this call.
      configs: configs of the run and of this call.

    Raises:
      UserError: data or options differ; the message says how.
    """
    old, new = configs
    known = recorded_by(run_dir, before).identity
    if known is None or identity is None:
        refuse_changes(old, new)
        if any(before["data"][key] != now["data"][key] for key in ("name", "examples") if "data" in before):
            raise UserError(
                f"The run in {run_dir} was trained on {_say(before)}, but now there are {_say(now)}: bring the data "
                "back, or start a new run."
            )
        return [] if identity is None else [UNCHECKED]
    moved = [name for name in DATA_OPTIONS if option_groups.value(old, name) != option_groups.value(new, name)]
    if change := changes(known, identity):
        refuse_changes(old, _with_data_of(old, new))
        where = f" ({_options(moved, new)})" if moved else ""
        raise UserError(
            f"The data of the run in {run_dir}{where} have changed since it was begun: {change}. Bring them back as "
            "they were, or start a new run (which may take its weights: --init-from)."
        )
    refuse_changes(_with_data_of(new, old), new)
    return []


def absolute_data(config: TrainConfig) -> dict[str, str]:
    """Return the options that name data, with absolute paths, which are valid from other folders too."""
    found = {}
    for name in (*DATA_OPTIONS, "data_dir"):
        value = option_groups.value(config, name)
        if value is None or str(value) in (*EMBEDDED, music.NAME):
            continue
        path = Path(value).expanduser()
        if path.exists():
            found[name] = str(path.absolute())
    return found


def _with_data_of(source: TrainConfig, config: TrainConfig) -> TrainConfig:
    """Return `config` with the data options of another config."""
    values = option_groups.values(source)
    return config.replace(**{name: values[name] for name in DATA_OPTIONS if name in values})


def _options(names: list[str], config: TrainConfig) -> str:
    return ", ".join(f"--{name} {option_groups.value(config, name)}" for name in names)


def _say(record: Json) -> str:
    return f"{record['data']['examples']} examples of {record['data']['name']}"
