"""What `jaxgen.models` offers: every principle of its files, each of which the contract asks."""

import importlib
import pkgutil
import re
from pathlib import Path

import tiny

from jaxgen import ModelSpec, models


def is_spec_of(module, found):
    return isinstance(found, type) and issubclass(found, ModelSpec) and found.__module__ == module.__name__


def principles():
    """Every spec that the files of `jaxgen.models` define, but for mere bases of others."""
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(models.__path__, "jaxgen.models.")]
    specs = {found for module in modules for found in vars(module).values() if is_spec_of(module, found)}
    bases = {base for spec in specs for base in spec.__bases__}
    return {spec for spec in specs if spec not in bases or spec.__name__ in models.__all__}


def test_every_principle_is_exported_and_has_a_tiny_model_for_the_contract():
    source = Path(tiny.__file__).read_text()
    assert len(principles()) >= 20
    for spec in principles():
        assert getattr(models, spec.__name__, None) is spec, f"export {spec.__name__} in models/__init__.py"
        assert re.search(rf"\b{spec.__name__}\(", source), f"{spec.__name__}: a tiny model in tests/tiny.py, and a case"
