"""What the wheel holds: the package with its data and licenses, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from what git tracks or would track, copied, so that no build folder is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    build = ["-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run([sys.executable, *build], check=True, timeout=600)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.slow
def test_the_wheel_holds_every_module_the_embedded_data_and_the_weights(wheel):
    package = ROOT / "jaxgen"
    expected = {str(p.relative_to(ROOT)) for p in package.rglob("*.py")} | {"jaxgen/py.typed"}
    data = {p.name for p in (package / "data" / "embedded").iterdir() if p.suffix in (".xz", ".png", ".json", ".md")}
    assert {"mnist.xz", "kjv.xz", "spoken.xz", "emoji_google.png", "LICENCES.md"} <= data
    expected |= {f"jaxgen/data/embedded/{name}" for name in data}
    expected |= {
        f"jaxgen/metrics/weights/{name}"
        for name in ("mnist.safetensors", "efficientnet_lite0.safetensors", "LICENCES.md")
    }
    assert {name for name in wheel if name.startswith("jaxgen/")} == expected
    for name in expected:
        assert wheel[name] == (ROOT / name).read_bytes(), name


@pytest.mark.slow
def test_the_wheel_holds_nothing_else_at_the_top_level(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"jaxgen"}
    assert len(tops) == 2


@pytest.mark.slow
def test_the_wheel_holds_the_licenses_and_the_command(wheel):
    info = {name.split("/", 1)[1]: content for name, content in wheel.items() if ".dist-info/" in name}
    assert info["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert info["licenses/jaxgen/data/embedded/LICENCES.md"]
    assert info["licenses/jaxgen/metrics/weights/LICENCES.md"]
    assert "jaxgen = jaxgen.__main__:main" in info["entry_points.txt"].decode()
    assert "License-Expression: Apache-2.0" in info["METADATA"].decode()
