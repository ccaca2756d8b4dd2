"""One picture file: right values of odd ones, one sentence for bad ones, memory by what is declared."""

import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from properties import QUICK_AND_SLOW, for_all

from jaxgen.core.errors import UserError
from jaxgen.data import images, picture_file
from jaxgen.data.picture_file import open_picture, read_image, read_picture, read_scaled

WHITE = (255, 255, 255)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def palette(color=(200, 10, 10)):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, *color] + [0] * 762)
    return picture


def two_frames():
    return {"save_all": True, "append_images": [Image.new("RGB", (8, 8), GREEN)]}


SHADES = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
ODD = {
    "clear.png": (Image.new("RGBA", (8, 8), (10, 20, 30, 0)), {}, WHITE),
    "half_clear.png": (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), {}, (255, 127, 127)),
    "clear_grey.png": (Image.new("LA", (8, 8), (10, 0)), {}, WHITE),
    "palette.png": (palette(), {}, (200, 10, 10)),
    "clear_palette.png": (palette(), {"transparency": 1}, WHITE),
    "bytes_palette.png": (palette(), {"transparency": b"\xff\x00"}, WHITE),
    "clear_palette.gif": (palette(), {"transparency": 1}, WHITE),
    "clear_shade.png": (Image.new("L", (8, 8), 77), {"transparency": 77}, WHITE),
    "clear_colour.png": (Image.new("RGB", (8, 8), (1, 2, 3)), {"transparency": (1, 2, 3)}, WHITE),
    "bit.png": (Image.new("1", (8, 8), 1), {}, WHITE),
    "sixteen.png": (SHADES, {}, (128,) * 3),
    "sixteen.tif": (SHADES, {}, (128,) * 3),
    "sixteen.pgm": (SHADES, {}, (128,) * 3),
    "cmyk.jpg": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), {"quality": 100}, RED),
    "clear.webp": (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), {"lossless": True}, WHITE),
    "UPPER.BMP": (Image.new("RGB", (8, 8), RED), {}, RED),
    "plain.ppm": (Image.new("RGB", (8, 8), RED), {}, RED),
    "moving.gif": (Image.new("RGB", (8, 8), RED), two_frames(), RED),
    "moving.webp": (Image.new("RGB", (8, 8), RED), {"lossless": True, **two_frames()}, RED),
    "moving.png": (Image.new("RGB", (8, 8), RED), two_frames(), RED),
}


@pytest.fixture(params=[False, True], ids=["whole", "in strips"])
def in_strips(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(images, "LARGE_PIXELS", 0)
        monkeypatch.setattr(images, "STRIP_PIXELS", 24)
    return request.param


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_have_the_values_that_are_seen(tmp_path, name, in_strips):
    picture, options, color = ODD[name]
    picture.save(tmp_path / name, **options)
    for read in (read_image(tmp_path / name, 5, 3), read_picture(tmp_path / name, 3), read_scaled(tmp_path / name, 6)):
        assert (read == color).all()


@pytest.mark.parametrize("form", ["png", "webp", "tif"])
def test_every_orientation_that_a_camera_notes_is_applied(tmp_path, form, in_strips):
    """Values of each pixel by the EXIF standard: which corner of the stored array is the upper left of the picture."""
    stored = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored.swapaxes(0, 1)[:, ::-1],
        7: stored.swapaxes(0, 1)[::-1, ::-1],
        8: stored.swapaxes(0, 1)[::-1],
    }
    for orientation, expected in upright.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(
            tmp_path / f"a.{form}", exif=exif, **({"lossless": True} if form == "webp" else {})
        )
        np.testing.assert_array_equal(read_picture(tmp_path / f"a.{form}", 3), expected)
        Image.fromarray(expected).save(tmp_path / "b.png")
        fitted, same = (read_image(path, 7, 1) for path in (tmp_path / f"a.{form}", tmp_path / "b.png"))
        np.testing.assert_array_equal(fitted, same, err_msg=str(orientation))


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
@pytest.mark.parametrize("size", [(20, 12), (12, 20), (16, 16)])
def test_a_picture_read_in_strips_is_the_same_but_for_rounding(tmp_path, size, mode, monkeypatch):
    noise = np.random.default_rng(0).integers(100, 156, (*size, 4), np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / "a.png")

    def every_way():
        path = tmp_path / "a.png"
        fitted = [read_image(path, side, channels) for side in (5, 12, 31) for channels in (1, 3)]
        return [*fitted, read_picture(path, 3), read_picture(path, 1), read_scaled(path, 9)]

    whole = every_way()
    monkeypatch.setattr(images, "LARGE_PIXELS", 0)
    monkeypatch.setattr(images, "STRIP_PIXELS", 50)
    for one, other in zip(whole, every_way(), strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).max() <= 2


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(tmp_path, monkeypatch):
    ramp = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8)[:, None], (256, 256))
    Image.fromarray(ramp).convert("RGB").save(tmp_path / "a.jpg", quality=95)
    whole = read_image(tmp_path / "a.jpg", 16, 3)
    sizes = []
    monkeypatch.setattr(picture_file, "DRAFT_PIXELS", 1000)
    monkeypatch.setattr(
        picture_file, "to_array", lambda picture, *how: sizes.append(picture.size) or images.to_array(picture, *how)
    )
    assert np.abs(read_image(tmp_path / "a.jpg", 16, 3).astype(int) - whole).max() <= 2
    assert sizes == [(32, 32)]


# ---------------------------------------------------------------- what is refused


def test_a_file_of_another_format_is_not_opened_whatever_its_ending(tmp_path):
    """Pillow would start Ghostscript for it."""
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(UserError, match=r"a\.png cannot be read \(it is none of PNG, JPEG, WEBP"):
        read_image(tmp_path / "a.png", 8, 3)
    for form in ("ico", "pcx", "tga", "pdf"):
        Image.new("RGB", (16, 16)).save(tmp_path / f"b.{form}")
        (tmp_path / f"b.{form}").rename(tmp_path / "b.png")
        with pytest.raises(UserError, match="it is none of"):
            read_picture(tmp_path / "b.png", 3)


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "bmp", "gif", "tif", "ppm"])
def test_what_is_cut_short_is_one_sentence_with_the_name(tmp_path, form):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{form}")
    content = (tmp_path / f"a.{form}").read_bytes()
    for part in (0.0, 0.02, 0.5, 0.9):
        (tmp_path / f"a.{form}").write_bytes(content[: int(part * len(content))])
        with pytest.raises(UserError, match=rf"a\.{form} cannot be read \([^\n]*\): mend or remove it\.$"):
            read_image(tmp_path / f"a.{form}", 8, 3)


@QUICK_AND_SLOW
def test_any_changed_bytes_are_a_picture_or_one_sentence(tmp_path, examples):
    ramp = Image.linear_gradient("L").resize((12, 12)).convert("RGB")
    files = {}
    for form in ("png", "jpg", "webp", "bmp", "gif", "tif", "ppm"):
        ramp.save(tmp_path / f"a.{form}")
        files[form] = (tmp_path / f"a.{form}").read_bytes()
    changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)

    @for_all(examples, form=st.sampled_from(sorted(files)), changes=changes, end=st.floats(0.5, 1), cut=st.booleans())
    def check(form, changes, end, cut):
        changed = bytearray(files[form])
        for place, value in changes:
            changed[int(place**2 * len(changed))] = value  # the more often, the nearer to the header
        (tmp_path / f"a.{form}").write_bytes(changed[: int(end * len(changed))] if cut else changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = read_image(tmp_path / f"a.{form}", 5, 3)
            except UserError:
                return
        assert image.dtype == np.uint8
        assert image.shape == (5, 5, 3)


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(UserError, match=r"There is no file .*none\.png"):
        read_image(tmp_path / "none.png", 8, 3)
    with pytest.raises(UserError, match="is a folder"):
        read_image(tmp_path, 8, 3)
    with pytest.raises(UserError, match="no regular file"):
        read_image(Path("/dev/zero"), 8, 3)


def test_floats_of_no_known_range_are_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="of no known range; save it with 8 or 16"):
        read_picture(tmp_path / "a.tif", 1)


def png_of_declared_size(path, width, height):
    """A PNG whose header says one size, whatever follows."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


def test_the_declared_size_is_held_against_the_limit_before_anything_is_decoded(tmp_path, monkeypatch):
    png_of_declared_size(tmp_path / "a.png", 30_000, 30_000)
    with pytest.raises(UserError, match=r"30,000 x 30,000 pixels would take 3,434 MB .* JAXGEN_MAX_MEGABYTES"):
        read_image(tmp_path / "a.png", 8, 3)
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "4000")
    with open_picture(tmp_path / "a.png") as picture:
        assert picture.size == (30_000, 30_000)
    assert Image.MAX_IMAGE_PIXELS is not None  # Pillow's own limit stands for what others open
    for odd in ("-1", "0", "many", "1e3", "²"):
        monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", odd)
        with pytest.raises(UserError, match="must be a whole number of megabytes"):
            read_image(tmp_path / "a.png", 8, 3)


def test_threads_together_have_no_more_in_flight_than_half_the_limit(monkeypatch):
    monkeypatch.setenv("JAXGEN_MAX_MEGABYTES", "10")
    budget, lock, now, most = picture_file._InFlight(), threading.Lock(), [0], [0]

    def decode(count):
        with budget.reserved(count * 2**20):
            with lock:
                now[0] += count
                most[0] = max(most[0], now[0])
            time.sleep(0.002)
            with lock:
                now[0] -= count

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decode, [1, 2, 2, 3, 1, 9, 2, 2, 1, 1, 5, 1] * 2))
    assert most[0] == 9  # the one that is larger than all the room went alone
