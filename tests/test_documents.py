"""Every command that the documents and the experiments' own descriptions show is one that the program understands."""

import ast
import importlib
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest
import tyro

from jaxgen import __main__ as jaxgen_command
from jaxgen.metrics import image_scores
from jaxgen.runs import experiment
from jaxgen.training.config import TrainConfig, validate

ROOT = Path(__file__).parents[1]
DOCUMENTS = [path for where in ("", "experiments/*/", "benchmarks/") for path in sorted(ROOT.glob(f"{where}README.md"))]
DOCUMENTS += [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("examples/*.ipynb"))]
PAGES = sorted(path for where in ("*.md", "[!t]*/*.md", "tutorials/*.md") for path in ROOT.glob(f"docs/{where}"))
FAMILIES = sorted(ROOT.glob("docs/families/[!R]*.md"))
MODULES = sorted(ROOT.glob("jaxgen/experiments/[!_]*.py"))


class Understood(Exception):
    """Raised in place of what a command would do."""


def text_of(path):
    """A document, or the description at the head of a module, whose indented lines become a block of code."""
    text = path.read_text()
    if path.suffix == ".md":
        return text
    if path.suffix == ".ipynb":
        return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    lines = inspect.cleandoc(ast.get_docstring(ast.parse(text))).splitlines()
    return "\n".join(["```", *(line[4:] for line in lines if line.startswith("    ")), "```", ""])


def commands(text):
    """Those in blocks of code, and those with options within the text, of a document: lists of words."""
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language in ("", "sh"):
            found += [line.split(" #")[0] for line in block.replace("\\\n", " ").splitlines()]
    found += [code for code in re.findall(r"`([^`\n]+)`", text) if " --" in code and "..." not in code]
    parts = [part.strip() for line in found for part in re.split(r"&&|;", line)]
    parts = [part.replace("HOST:PORT", "HOST:1234") for part in parts]
    return [shlex.split(part) for part in parts if part.startswith(("python -m jaxgen.experiments.", "jaxgen "))]


def understand(words):
    """Has the program read a command. `tyro.cli` may raise, so that nothing else is done.

    Raises:
      SystemExit: it does not understand it.
    """
    if words[0] == "jaxgen" and words[1] != "train":
        assert jaxgen_command.run(words[1:]) == 0
    else:
        name = words[2] if words[0] == "jaxgen" else words[2].rpartition(".")[2]
        module = importlib.import_module(f"jaxgen.experiments.{name}")
        options = shlex.split(
            re.sub(r"--resume( [^-]\S*)?", "", shlex.join(words[3:]))
        )  # there is nothing to go on with
        if hasattr(module, "EXPERIMENT"):
            experiment.parse(module.EXPERIMENT, options)
        else:
            module.run(options)


@pytest.mark.parametrize("path", DOCUMENTS + PAGES + MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_that_are_shown_are_understood(path, monkeypatch):
    read = tyro.cli

    def read_only(*arguments, **options):
        config = read(*arguments, **options)
        if isinstance(config, TrainConfig):
            validate(config)
        raise Understood

    monkeypatch.setattr(tyro, "cli", read_only)
    for words in commands(text_of(path)):
        try:
            understand(words)
        except Understood:
            continue
        except SystemExit:
            if "--help" not in words:
                pytest.fail(shlex.join(words))


def test_a_command_that_is_none_is_noticed():
    document = "`jaxgen sample RUN --colour red`\n```\npython -m jaxgen.experiments.mnist_gan \\\n  --stes 3\n```\n"
    found = commands(document)
    assert found == [
        ["python", "-m", "jaxgen.experiments.mnist_gan", "--stes", "3"],
        ["jaxgen", "sample", "RUN", "--colour", "red"],
    ]
    for words in found:
        with pytest.raises(SystemExit):
            understand(words)


@pytest.mark.slow
def test_the_program_of_the_readme_trains_and_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = re.search(r"^```python\n(import .*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    assert program.count("steps=5_000") == 1
    names = {}
    exec(compile(program.replace("steps=5_000", "steps=2, devices=1"), "README.md", "exec"), names)
    assert names["images"].shape == (16, 28, 28, 1)
    assert (tmp_path / "runs/mine/001/losses.png").is_file()


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_the_figures_of_a_family_are_those_of_its_records(path):
    rows = re.findall(r"^\| \[`(\w+)`\]\((.*?)\) .*\| (.*?) \|$", path.read_text(), re.MULTILINE)
    assert rows or "not run yet" in path.read_text()
    for name, record, figures in rows:
        assert record == f"../../experiments/{name}/README.md"
        recorded = set(re.findall(r"[\d.,]*\d", (path.parent / record).read_text()))
        assert set(re.findall(r"\d+\.\d+", figures)) <= recorded, name


def test_every_experiment_is_in_the_readme_and_on_a_familys_page():
    names = {path.stem for path in MODULES}
    for pages in ([ROOT / "README.md"], FAMILIES):
        text = "\n".join(path.read_text() for path in pages)
        missing = {name for name in names if f"`{name}`" not in text}
        assert not missing, f"{missing}: name them in {[str(page.relative_to(ROOT)) for page in pages]}"


@pytest.mark.slow
def test_the_programs_of_the_page_on_additions_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_scores, "METRICS", dict(image_scores.METRICS))
    page = (ROOT / "docs" / "how-to" / "add.md").read_text()
    assert page.count("steps=20") == 1
    names = {"__name__": "add"}
    for program in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        exec(compile(program.replace("steps=20", "steps=2, devices=1"), "add.md", "exec"), names)
    assert names["restored"].shape == (4, 28, 28, 1)
    assert names["brightness"](names["images"]).shape == (500,)
    assert image_scores.METRICS.keys() >= {"fid", "feature_gap"}
