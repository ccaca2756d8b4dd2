"""Rows of examples, as a picture or as lines of text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgen.commands._outputs import writing
from jaxgen.core.terminal import printable
from jaxgen.core.types import present
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.runs.opened_run import Run
from jaxgen.samples.pictures import image_grid
from jaxgen.samples.previews import as_lines


def write_rows(run: Run, rows: Sequence[Sequence[np.ndarray] | np.ndarray], out: Path | None) -> None:
    """Write rows of examples.

    Rows of images [n, H, W, C] in [-1, 1] are filled up with white. Rows of tokens [T + 1], each a line after a line
    end, are separated by an empty line.

    Args:
      out: .png for images, .txt for texts; None: texts are printed.
    """
    if run.record["kind"] != "text":
        columns = max(map(len, rows))
        filled = [np.pad(row, ((0, columns - len(row)), *((0, 0),) * 3), constant_values=1.0) for row in rows]
        with writing(present(out)) as part:
            image_grid(np.concatenate(filled), columns=columns).save(part)
        return
    vocabulary = vocabulary_of(run.record["assets"])
    text = "\n".join(as_lines([vocabulary.decode(tokens[1:]) for tokens in row]) for row in rows)
    if out is None:
        print(printable(text, keep="\n\t"))
    else:
        with writing(out) as part:
            part.write_text(text, encoding="utf-8")
