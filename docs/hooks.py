"""Brings into the site what pages link to and what lies outside docs/: records, pictures, examples, the README.

A page's links are those of its file in the repository, so that they also work where the repository is read. The site
has the files of docs/ at its root, and every other file under its path in the repository: README.md becomes the front
page, experiments/mnist_gan/README.md the page experiments/mnist_gan/. Notebooks become pages with their outputs, and
programs pages of code.
"""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:|/|#)([^)#\s]+)(?=[)#\s])")
RENDERED = (".ipynb", ".py")
"""Endings of files that become pages, besides Markdown."""
CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the repository that a page links to, and what those link to in turn."""
    to_read = [f"docs/{file.src_uri}" for file in files.documentation_pages()] + ["README.md"]
    seen = set(to_read)
    files.append(File.generated(config, "README.md", abs_src_path=str(ROOT / "README.md")))
    while to_read:
        path = to_read.pop()
        for target in sorted(linked_files(path, markdown_of(path)) - seen):
            seen.add(target)
            if not target.startswith("docs/"):
                files.append(site_file(target, config))
            if is_page(target):
                to_read.append(target)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point a page's links at where their targets lie in the site."""
    here = repository_path(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = resolve(here, link[1])
        if target is None:
            return link[1]
        return posixpath.relpath(site_path(target), posixpath.dirname(site_path(here)) or ".")

    parts = CODE.split(markdown)
    return "".join(part if code else LINK.sub(moved, part) for code, part in zip_with_parity(parts))


def zip_with_parity(parts: list[str]) -> list[tuple[bool, str]]:
    """Return the parts of a text that was split at its code, each with whether it is code."""
    return [(index % 2 == 1, part) for index, part in enumerate(parts)]


def linked_files(path: str, markdown: str) -> set[str]:
    """Return the files of the repository that a page links to."""
    prose = "".join(part for code, part in zip_with_parity(CODE.split(markdown)) if not code)
    return {target for target in (resolve(path, link) for link in LINK.findall(prose)) if target is not None}


def resolve(here: str, link: str) -> str | None:
    """Return the file that a link of the page `here` means, by its path in the repository; None: there is none."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    if (ROOT / target).is_dir():
        target += "/README.md"
    return target if not target.startswith("..") and (ROOT / target).is_file() else None


def is_page(path: str) -> bool:
    """Whether a file becomes a page."""
    return path.endswith((".md", *RENDERED))


def site_path(path: str) -> str:
    """Return the path in the site's sources of a file of the repository."""
    stem, ending = posixpath.splitext(path.removeprefix("docs/"))
    return stem + (".md" if ending in RENDERED else ending)


def repository_path(path: str) -> str:
    """Return the file of the repository that a page is made of."""
    rendered = [path.removesuffix(".md") + ending for ending in RENDERED]
    return next(found for found in (f"docs/{path}", path, *rendered) if (ROOT / found).is_file())


def site_file(path: str, config: MkDocsConfig) -> File:
    """Return a file of the repository as one of the site."""
    if path.endswith(RENDERED):
        return File.generated(config, site_path(path), content=markdown_of(path))
    return File.generated(config, site_path(path), abs_src_path=str(ROOT / path))


def markdown_of(path: str) -> str:
    """Return the Markdown of a page."""
    text = (ROOT / path).read_text()
    if path.endswith(".ipynb"):
        return "\n\n".join(map(cell_markdown, json.loads(text)["cells"]))
    return f"# {posixpath.basename(path)}\n\n```python\n{text}```\n" if path.endswith(".py") else text


def cell_markdown(cell: dict) -> str:
    """Return the Markdown of a notebook's cell and its outputs."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([f"```python\n{source}\n```", *map(output_markdown, cell["outputs"])])


def output_markdown(output: dict) -> str:
    """Return the Markdown of an output: its picture, else its text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f"![output](data:image/png;base64,{''.join(data['image/png']).replace(chr(10), '')})"
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"
