"""Sheets, GIFs and plots, by known pixels."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.samples.pictures import image_grid, loss_plot, progress_gif, save_gif, titled_rows


def blocks(count, size=3, channels=1):
    """Images of one value each, 10 apart."""
    return np.stack([np.full((size, size, channels), 10 * i, np.uint8) for i in range(count)])


def test_a_sheet_puts_images_row_by_row_on_white():
    sheet = image_grid(blocks(5), columns=3, gap=2)
    scale = round(512 / (3 * 5 + 2))
    assert sheet.mode == "L"
    assert sheet.size == (17 * scale, 12 * scale)
    pixels = np.asarray(sheet)[::scale, ::scale]
    for i in range(5):
        top, left = 2 + 5 * (i // 3), 2 + 5 * (i % 3)
        assert (pixels[top : top + 3, left : left + 3] == 10 * i).all()
    covered = np.zeros_like(pixels, bool)
    for i in range(5):
        covered[2 + 5 * (i // 3) : 5 + 5 * (i // 3), 2 + 5 * (i % 3) : 5 + 5 * (i % 3)] = True
    assert (pixels[~covered] == 255).all()  # the gaps, and the place of the sixth image


def test_a_sheet_is_nearly_square():
    assert image_grid(blocks(16, 100), gap=0).size == (round(512 / 400) * 400, 400)
    assert image_grid(blocks(1, 600), gap=0).size == (600, 600)


def test_images_in_minus_one_to_one_become_0_to_255():
    images = np.array([-1.0, 0.0, 1.0, 2.0], np.float32).reshape(4, 1, 1, 1)
    pixels = np.asarray(image_grid(images, columns=4, gap=0))
    assert [int(pixels[0, i * pixels.shape[0]]) for i in range(4)] == [0, 128, 255, 255]


def test_colors_stay_colors():
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 200
    sheet = image_grid(red, gap=1)
    assert sheet.mode == "RGB"
    assert np.asarray(sheet)[sheet.height // 2, sheet.width // 2].tolist() == [200, 0, 0]


def test_a_gif_has_every_frame_and_loops(tmp_path):
    frames = [image_grid(image[None]) for image in blocks(5, 8)]
    save_gif(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0
        gif.seek(3)
        center = np.asarray(gif.convert("L"))[gif.height // 2, gif.width // 2]
        assert int(center) == pytest.approx(30, abs=1)


def test_the_progress_gif_takes_at_most_so_many_sheets(tmp_path):
    paths = []
    for i, image in enumerate(blocks(20)):
        paths.append(tmp_path / f"{i:02d}.png")
        image_grid(image[None], gap=0).save(paths[-1])
    progress_gif(paths, tmp_path / "p.gif", most=7)
    with Image.open(tmp_path / "p.gif") as gif:
        assert gif.n_frames == 7
        gif.seek(6)
        assert int(np.asarray(gif.convert("L"))[5, 5]) == pytest.approx(190, abs=1)  # the last is always there


def test_damaged_sheets_are_left_out_of_the_progress_gif(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, image in zip(paths[:2], blocks(2), strict=True):
        image_grid(image[None]).save(path)
    paths[2].write_bytes(paths[1].read_bytes()[:60])
    paths[3].mkdir()
    progress_gif(paths, tmp_path / "p.gif")
    with Image.open(tmp_path / "p.gif") as gif:
        assert gif.n_frames == 2


def test_no_sheets_make_no_gif(tmp_path):
    progress_gif([], tmp_path / "p.gif")
    progress_gif([tmp_path / "gone.png"], tmp_path / "p.gif")
    assert not (tmp_path / "p.gif").exists()


def test_losses_are_plotted_one_panel_a_quantity(tmp_path):
    one = [{"step": i, "generator/loss": 1.0, "discriminator/loss": 2.0, "speed/x": 3.0} for i in range(1, 4)]
    loss_plot(one, tmp_path / "one.png")
    loss_plot([{**line, "eval/accuracy": 0.5} for line in one], tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as single, Image.open(tmp_path / "two.png") as double:
        assert double.height == 2 * single.height
    loss_plot([{"step": 1}], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_rows_of_images_stand_under_their_titles():
    red, blue = np.array([1.0, -1.0, -1.0]), np.array([-1.0, -1.0, 1.0])
    rows = [np.broadcast_to(color, (count, 8, 8, 3)) for color, count in ((red, 3), (blue, 5))]
    sheet = np.asarray(titled_rows(rows, ["three", "five"], columns=4))
    reds, blues = (np.all(sheet == color, -1) for color in ([255, 0, 0], [0, 0, 255]))
    scale = round((reds.sum() / 3) ** 0.5 / 8)
    assert (reds.sum(), blues.sum()) == (3 * (8 * scale) ** 2, 5 * (8 * scale) ** 2)
    letters = np.flatnonzero(np.all(sheet == 0, -1).any(1))
    first, second = np.flatnonzero(reds.any(1)), np.flatnonzero(blues.any(1))
    assert letters.min() < first.min() < first.max() < letters.max() < second.min()
