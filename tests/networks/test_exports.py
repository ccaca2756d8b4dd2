"""What `jaxgen.networks` offers by name: every network of its files, and nothing that is not there."""

import importlib
import pkgutil
from collections import Counter

import flax.linen as nn
import pytest

from jaxgen import networks

FILES = [module.name for module in pkgutil.iter_modules(networks.__path__) if not module.ispkg]


def public_modules(name):
    """The public Flax modules that a file of `jaxgen.networks` defines."""
    module = importlib.import_module(f"jaxgen.networks.{name}")
    return [
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, nn.Module)
        and found.__module__ == module.__name__
        and not found.__name__.startswith("_")
    ]


@pytest.mark.parametrize("name", networks.__all__)
def test_a_name_of_the_table_is_a_flax_module_of_that_name(name):
    found = getattr(networks, name)
    assert issubclass(found, nn.Module)
    assert found.__name__ == name
    assert found.__module__.startswith("jaxgen.networks.")


def test_every_public_module_of_the_files_is_in_the_table():
    """But those whose name two files give to different modules."""
    found = [module for file in FILES for module in public_modules(file)]
    counts = Counter(module.__name__ for module in found)
    assert {name for name, count in counts.items() if count > 1} == {"ResidualBlock"}
    exported = {name: getattr(networks, name) for name in networks.__all__}
    missing = {m.__name__ for m in found if counts[m.__name__] == 1} - set(exported)
    assert not missing, f"{missing}: add them to networks/__init__.py: import, _MODULES and __all__; or begin with _"
    assert {m.__name__: m for m in found if counts[m.__name__] == 1}.items() <= exported.items()
    assert set(exported) - set(counts) == {"Conv", "ConvTranspose"}


def test_all_is_the_table_and_other_names_are_refused():
    assert set(networks.__all__) == set(networks._MODULES) <= set(dir(networks))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        networks.Nothing  # noqa: B018
