"""The pictures of a run: sample sheets, their GIF, spectrograms, and the plot of its losses."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.core import files
from jaxgen.core.errors import UserError
from jaxgen.data.dataset import unscale_images
from jaxgen.data.picture_file import open_picture

if TYPE_CHECKING:  # `import jaxgen` loads Pillow only when a picture is made
    from matplotlib.figure import Figure
    from PIL import Image

Points = Sequence[tuple[float, float]]
"""The points (step, value) of a curve."""


def image_grid(
    images: np.ndarray, *, columns: int | None = None, gap: int = 2, scale: int | None = None
) -> "Image.Image":
    """Arrange images [N, H, W, C] in [-1, 1] (C 1 or 3) or uint8 in a sheet, row by row, on white.

    `columns` defaults to the number that makes the sheet nearly square, `scale` to one that makes it about 512 pixels
    large.
    """
    from PIL import Image

    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = unscale_images(images)
    number, height, width, channels = images.shape
    columns = columns or max(1, round(number**0.5))
    rows = -(-number // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    scale = scale or max(1, round(512 / max(picture.size)))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def save_image(image: np.ndarray, path: Path) -> None:
    """Write one image uint8 [H, W, 1 or 3]."""
    from PIL import Image

    with files.replacing(path) as part:
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(part)


def class_rows(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Order images [N, H, W, C] in [-1, 1] by labels [N] for `image_grid`: (images, columns), one row per class.

    Images of a class keep their order; rows that are shorter than the longest are filled up with white.
    """
    classes, counts = np.unique(labels, return_counts=True)
    columns = int(counts.max())
    rows = np.ones((len(classes), columns, *images.shape[1:]), images.dtype)
    for row, label in zip(rows, classes, strict=True):
        chosen = images[labels == label]
        row[: len(chosen)] = chosen
    return rows.reshape(-1, *images.shape[1:]), columns


def sample_sheet(images: np.ndarray, labels: np.ndarray | None) -> "Image.Image":
    """Arrange samples [N, H, W, C] in [-1, 1] in a sheet; with labels [N] of several classes, one row per class."""
    if labels is None or len(np.unique(labels)) == 1:
        return image_grid(images)
    images, columns = class_rows(images, labels)
    return image_grid(images, columns=columns)


def titled_rows(rows: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 16) -> "Image.Image":
    """Arrange images [n, H, W, C] in [-1, 1] under each title, from top to bottom, with at most `columns` in a row."""
    from PIL import Image, ImageDraw, ImageFont

    columns = max(1, min(columns, max(map(len, rows))))
    white = [np.ones((-len(row) % columns, *row.shape[1:]), row.dtype) for row in rows]
    grids = [image_grid(np.concatenate(pair), columns=columns, scale=1) for pair in zip(rows, white, strict=True)]
    scale = max(1, round(640 / grids[0].width))
    grids = [grid.resize((grid.width * scale, grid.height * scale), Image.Resampling.NEAREST) for grid in grids]
    size = 15
    sheet = Image.new("RGB", (grids[0].width, sum(grid.height + size + 5 for grid in grids)), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(size), 0
    for grid, title in zip(grids, titles, strict=True):
        draw.text((2 * scale, top + 1), title, "black", font)
        sheet.paste(grid, (0, top + size + 5))
        top += grid.height + size + 5
    return sheet


def save_gif(frames: "Sequence[Image.Image]", path: Path, *, seconds: float = 8.0) -> None:
    """Write frames as a looping GIF, `seconds` long (0.04 to 0.5 per frame), with the last frame held."""
    from PIL import Image

    each = int(1000 * min(0.5, max(0.04, seconds / len(frames))))
    palette = [frame.convert("P", palette=Image.Palette.ADAPTIVE) if frame.mode != "L" else frame for frame in frames]
    durations = [each] * (len(frames) - 1) + [1500]
    with files.replacing(path) as part:
        palette[0].save(part, save_all=True, append_images=palette[1:], duration=durations, loop=0)


def progress_gif(sheets: Sequence[Path], path: Path, *, most: int = 100) -> None:
    """Write sample sheets, oldest first, as a GIF: at most `most` of them, evenly spread, without damaged ones."""
    numbers = np.unique(np.linspace(0, len(sheets) - 1, min(most, len(sheets))).round().astype(int))
    frames = []
    for sheet in (sheets[i] for i in numbers):
        with contextlib.suppress(UserError), open_picture(sheet) as picture:
            frames.append(picture.copy())
    if frames:
        save_gif(frames, path)


def latent_scatter(
    points: np.ndarray, labels: np.ndarray | None, class_names: Sequence[str], axes: tuple[str, str]
) -> "Image.Image":
    """Plot points [N, 2], colored by their labels [N] if there are any; `axes` are the names of the axes."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(7, 6), layout="constrained", dpi=120)
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    labels = np.zeros(len(points), int) if labels is None else labels
    classes = np.unique(labels)
    for i, label in enumerate(classes):
        chosen = points[labels == label]
        color = colormaps["tab10"](i % 10) if len(classes) <= 10 else colormaps["turbo"](i / (len(classes) - 1))
        name = class_names[label] if len(class_names) else str(label)
        axis.scatter(*chosen.T, s=6, color=color, label=name, linewidths=0)
    axis.set_xlabel(axes[0])
    axis.set_ylabel(axes[1])
    axis.grid(alpha=0.3)
    if len(classes) > 1:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=2)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def spectrogram(amplitudes: np.ndarray, sample_rate: int) -> "Image.Image":
    """Plot amplitudes [T] in [-1, 1] over time, and their spectrogram in decibels below a full-scale sine."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(10, 4.5), layout="constrained", dpi=100)
    canvas = FigureCanvasAgg(figure)
    wave, spectrum = figure.subplots(2, sharex=True, height_ratios=(1, 3))
    window = 2 ** round(np.log2(0.03 * sample_rate))  # about 30 ms, during which speech is stationary
    padded = np.pad(amplitudes, (0, max(0, window - len(amplitudes))))
    wave.plot(np.arange(len(padded)) / sample_rate, padded, linewidth=0.4)
    wave.set(ylim=(-1, 1), ylabel="amplitude")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[:: window // 4] * np.hanning(window)
    loudness = 20.0 * np.log10(np.abs(np.fft.rfft(frames)) / (window / 4) + 1e-10)  # [frames, frequencies]
    extent = (0, len(padded) / sample_rate, 0, sample_rate / 2000)
    shown = spectrum.imshow(loudness.T, origin="lower", aspect="auto", extent=extent, vmin=-90, vmax=0, cmap="magma")
    spectrum.set(xlabel="seconds", ylabel="kHz")
    figure.colorbar(shown, ax=spectrum, label="dB")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def curves_of(lines: Sequence[dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Return (step, value) of each metric in lines of metrics.jsonl, by name, in the order of names."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name != "step":
                curves.setdefault(name, []).append((line["step"], value))
    return dict(sorted(curves.items()))


def metrics_figure(lines: Sequence[dict[str, float]]) -> "Figure":
    """Plot every metric of metrics.jsonl over the steps, one panel per quantity, one curve per network."""
    panels: dict[str, dict[str, Points]] = {}
    for name, points in curves_of(lines).items():
        if "/" in name and not name.startswith("speed/"):
            panels.setdefault(name.rsplit("/", 1)[-1], {})[name] = points
    return panels_figure(panels)


def panels_figure(panels: Mapping[str, Mapping[str, Points]]) -> "Figure":
    """Plot named curves in named panels, from top to bottom."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = max([2.4, *(0.9 + 0.18 * len(curves) for curves in panels.values())])  # of a legend of all curves
    figure = Figure(figsize=(7, height * max(1, len(panels))), layout="constrained")
    FigureCanvasAgg(figure)
    if not panels:
        return figure
    axes = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axis, (quantity, curves) in zip(axes, panels.items(), strict=True):
        for i, (name, points) in enumerate(curves.items()):
            steps, values = zip(*points, strict=True)
            style = ("-", "--", ":")[i // 10 % 3]  # after ten curves the colors come again
            axis.plot(steps, values, style, label=name, linewidth=1.2, marker="." if len(points) < 30 else None)
        axis.set_title(quantity, loc="left", fontsize=9)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, frameon=False)
    axes[-1].set_xlabel("step")
    return figure


def loss_plot(lines: Sequence[dict[str, float]], path: Path) -> None:
    """Write the figure of all metrics, if there are any."""
    if any("/" in name and not name.startswith("speed/") for line in lines for name in line):
        with files.replacing(path) as part:
            metrics_figure(lines).savefig(part, dpi=120)
