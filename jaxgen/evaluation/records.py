"""evaluation.json: the scores of a run, and how they were computed."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxgen.core.json_values import from_json, read_json
from jaxgen.core.types import Json
from jaxgen.training import run_folder


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that compute values."""
    return {name: version(name) for name in ("jaxgen", "jax", "jaxlib", "numpy", "scipy")}


def remember(run_dir: Path, record: Json) -> Path:
    """Add a record to evaluation.json of a run; records that differ in their values only are merged."""
    path = run_dir / run_folder.EVALUATION
    records = read_evaluations(run_dir)
    settings = {key: value for key, value in record.items() if key != "values"}
    same = [old for old in records if {key: value for key, value in old.items() if key != "values"} == settings]
    values = {name: value for old in same for name, value in old["values"].items()} | dict(record["values"])
    records = [old for old in records if old not in same] + [{**settings, "values": values}]
    run_folder.write_json(path, {"evaluations": records})
    return path


def read_evaluations(run_dir: Path) -> list[Json]:
    """Return the records of evaluation.json, oldest first; an empty list if the run was not evaluated.

    Raises:
      UserError: the file is damaged.
    """
    path = run_dir / run_folder.EVALUATION
    if not path.is_file():
        return []
    return read_json(path, _check_evaluations, "mend or remove it")["evaluations"]


def _check_evaluations(value: object) -> None:
    found = from_json(value, dict[str, Any])
    if "evaluations" not in found:
        raise ValueError("it lacks evaluations")
    for record in from_json(found["evaluations"], list[dict[str, Any]]):
        if "values" not in record:
            raise ValueError("one of its evaluations has no values")
        from_json(record["values"], dict[str, float])
