"""Finding the images of a folder: what is ignored, which links are followed, what is left out."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxgen.core.errors import UserError
from jaxgen.core.terminal import printable
from jaxgen.data.images import IMAGE_FORMATS

IGNORED = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"})
"""Files and folders that operating systems leave behind, in lower case; ignored silently, as are names that begin with
a dot."""


class FoundFile(NamedTuple):
    """A file under a folder."""

    path: Path
    name: str
    """Its path relative to the folder, with slashes: its name wherever the folder is."""
    stamp: tuple[int, int, int]
    """Its size in bytes, and the times of its last change and of its inode's (nanoseconds)."""


class Found(NamedTuple):
    """The files under a folder."""

    folder: Path
    images: list[FoundFile]
    """Images, sorted by path."""
    left_out: list[str]
    """Names of files whose endings are not those of images."""
    links: list[str]
    """Names of links to files that are counted already, or to a folder above."""

    def note(self, expected: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a line on what was left out, or no line; files with the `expected` endings are not mentioned."""
        others = [name for name in self.left_out if _ending(name) not in expected]
        parts = []
        if others:
            counts = Counter(map(_ending, others)).most_common(4)
            endings = ", ".join(f"{count} {ending or 'without ending'}" for ending, count in counts)
            parts.append(
                f"{_count(len(others), 'file')} with other endings ({endings}), such as {printable(others[0])}"
            )
        if self.links:
            parts.append(
                f"{_count(len(self.links), 'link')} to what is counted already, such as {printable(self.links[0])}"
            )
        return (f"left out of {self.folder}: {'; '.join(parts)}",) if parts else ()


def scan_folder(folder: str | Path) -> Found:
    """Return the image files under `folder`, at any depth: those with an ending in `jaxgen.data.images.IMAGE_FORMATS`.

    Names that begin with a dot are ignored, and so are files that systems leave in folders (`IGNORED`). Links to files
    and folders are followed, but no folder is entered twice, nor any folder above `folder`, and a file counts once:
    under its real path rather than a link to it.

    Raises:
      UserError: the folder does not exist, cannot be read, or has no images.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give the path of a folder of images.")
    found = _Walk(folder).run()
    if not found.images:
        endings = ", ".join(IMAGE_FORMATS)
        there = f" (it has {_count(len(found.left_out), 'other file')})" if found.left_out else ""
        raise UserError(f"The folder {folder} has no images: files ending in {endings} are looked for{there}.")
    return found


def find_images(folder: Path) -> list[Path]:
    """Return the image files under `folder`, sorted by path; see `scan_folder`."""
    return [image.path for image in scan_folder(folder).images]


class _Walk:
    """A walk that visits real files and folders first, then links, so that a real path comes before a link to it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[tuple[int, int], None] = {}
        self.folders = {_identity(parent.stat()) for parent in folder.resolve().parents}
        self.images: list[FoundFile] = []
        self.left_out: list[str] = []
        self.links: list[str] = []
        self.linked_folders: list[tuple[Path, str]] = []
        self.linked_files: list[tuple[Path, str, os.stat_result]] = []

    def run(self) -> Found:
        self.folders.add(_identity(self.folder.stat()))
        self.enter(self.folder, "")
        while self.linked_folders:
            path, name = self.linked_folders.pop(0)
            if self.is_new_folder(path.stat()):
                self.enter(path, name + "/")
            else:
                self.links.append(name)
        for path, name, status in self.linked_files:
            if _identity(status) in self.files:
                self.links.append(name)
            else:
                self.take(path, name, status)
        order = lambda name: PurePosixPath(name).parts  # noqa: E731
        images = sorted(self.images, key=lambda image: order(image.name))
        return Found(self.folder, images, sorted(self.left_out, key=order), sorted(self.links, key=order))

    def enter(self, folder: Path, prefix: str) -> None:
        """Take the files of a folder that is not a link, and of the folders below it."""
        waiting = [(folder, prefix)]
        while waiting:
            folder, prefix = waiting.pop()
            for entry in _entries(folder):
                path, name = Path(entry.path), prefix + entry.name
                try:
                    status = entry.stat()
                except OSError:  # a dangling link, or a file removed in the meantime
                    self.left_out.append(name)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if entry.is_symlink():
                        self.linked_folders.append((path, name))
                    elif self.is_new_folder(status):
                        waiting.append((path, name + "/"))
                elif entry.is_symlink():
                    self.linked_files.append((path, name, status))
                else:
                    self.take(path, name, status)

    def is_new_folder(self, status: os.stat_result) -> bool:
        """Return whether a folder is neither entered yet nor above; from now on it counts as entered."""
        new = _identity(status) not in self.folders
        self.folders.add(_identity(status))
        return new

    def take(self, path: Path, name: str, status: os.stat_result) -> None:
        """Take a file: as an image, judged by its ending, or as left out."""
        self.files[_identity(status)] = None
        if _ending(name) in IMAGE_FORMATS and stat.S_ISREG(status.st_mode):
            self.images.append(FoundFile(path, name, (status.st_size, status.st_mtime_ns, status.st_ctime_ns)))
        else:
            self.left_out.append(name)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Return the entries of a folder that are not ignored, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be read ({error.strerror}): mend that, or move it away."
        ) from error
    return (entry for entry in found if not entry.name.startswith(".") and entry.name.lower() not in IGNORED)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
