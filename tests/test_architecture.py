"""The house: each room imports only rooms that come before it, and no module shares its name with a function."""

import importlib
import pkgutil
from pathlib import Path

import pytest
from measure_house import ROOMS, imports

import jaxgen

ROOT = Path(jaxgen.__file__).parent
FRONT = {"__init__.py", "__main__.py"}
"""What stands before the house: the only files outside of a room."""


def test_every_module_is_in_a_room():
    assert {p.name for p in ROOT.iterdir() if p.is_file() and p.suffix == ".py"} == FRONT
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for file in sorted((ROOT / room).rglob("*.py")):
        for module, line in imports(file):
            other = module.split(".")[1] if "." in module else "the front door"
            assert other in allowed, f"{file.relative_to(ROOT)}:{line} imports {module}"


def test_no_module_shares_its_name_with_a_function_of_its_package():
    for module in pkgutil.walk_packages(jaxgen.__path__, "jaxgen."):
        if module.name == "jaxgen.__main__":
            continue
        package, _, name = module.name.rpartition(".")
        imported = importlib.import_module(module.name)
        assert getattr(importlib.import_module(package), name) is imported, f"{module.name} is shadowed"
        assert not callable(getattr(imported, name, None)), f"{module.name}.{name}"
