from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from neuro.data.sources import read_raw

GENERATOR = np.random.default_rng(3)
GREY = GENERATOR.integers(0, 256, (6, 5), np.uint8)
COLOUR = GENERATOR.integers(0, 256, (6, 5, 3), np.uint8)
DEEP = GENERATOR.integers(0, 65536, (6, 5)).astype(np.uint16)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(image):
    opened = Image.fromarray(image)
    opened.putalpha(128)
    return opened


def folder_of(root, *pictures, ending="png"):
    """A folder with these pictures, in turn of class a and b, at least one each."""
    for k, content in enumerate(pictures * (1 if len(pictures) > 1 else 2)):
        place = root / "pictures" / "ab"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{k}.{ending}").write_bytes(content)
    return str(root / "pictures")


BLACK_WHITE = Image.fromarray(GREY).convert("1", dither=Image.Dither.NONE)
PALETTE = Image.fromarray(GREY // 100 * 100).convert("P")
MODES = {
    "grey": (saved(GREY), GREY, ""),
    "colour": (saved(COLOUR), COLOUR, ""),
    "grey and alpha": (saved(with_alpha(GREY)), GREY, "transparency"),
    "colour and alpha": (saved(with_alpha(COLOUR)), COLOUR, "transparency"),
    "16 bits": (saved(DEEP), DEEP, ""),
    "black and white": (saved(BLACK_WHITE), np.asarray(BLACK_WHITE.convert("L")), ""),
    "palette": (saved(PALETTE), np.asarray(PALETTE.convert("RGB")), ""),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_a_png_gives_its_values(mode, tmp_path):
    content, expected, note = MODES[mode]
    raw = read_raw(folder_of(tmp_path, content))
    np.testing.assert_array_equal(raw.x_train, np.stack([expected, expected]))
    assert raw.x_train.dtype == expected.dtype
    assert note in "; ".join(raw.notes)
    assert bool(raw.notes) == bool(note)


@pytest.mark.parametrize(("kind", "ending"), [("BMP", "bmp"), ("TIFF", "tiff"), ("PPM", "ppm"), ("WEBP", "webp")])
def test_other_formats_give_the_same(kind, ending, tmp_path):
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = read_raw(folder_of(tmp_path, saved(COLOUR, kind, **options), ending=ending))
    np.testing.assert_array_equal(raw.x_train[0], COLOUR)


def test_a_jpeg_is_nearly_the_same(tmp_path):
    smooth = np.tile(np.arange(0, 128, 8, dtype=np.uint8), (16, 1))
    raw = read_raw(folder_of(tmp_path, saved(smooth, "JPEG", quality=98), ending="JPG"))
    np.testing.assert_allclose(raw.x_train[0], smooth, atol=4)


def test_of_an_animation_the_first_picture_is_taken(tmp_path):
    frames = [Image.fromarray(COLOUR // 64 * 64), Image.fromarray(255 - COLOUR // 64 * 64)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    raw = read_raw(folder_of(tmp_path, content, ending="gif"))
    np.testing.assert_allclose(raw.x_train[0], COLOUR // 64 * 64, atol=40)  # of a palette
    assert "animations" in raw.notes[0]


def test_grey_and_colour_mixed_become_colour_and_that_is_said(tmp_path):
    raw = read_raw(folder_of(tmp_path, saved(GREY), saved(COLOUR)))
    np.testing.assert_array_equal(raw.x_train, [np.stack([GREY] * 3, axis=-1), COLOUR])
    assert "mixed" in raw.notes[0]


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ((saved(GREY), saved(GREY[:4])), ("b/1.png is 5x4", "a/0.png 5x6", "one size")),
        ((saved(GREY), saved(DEEP)), ("a/0.png is grey", "16-bit grey", "same depth")),
        ((saved(GREY), b"no picture"), ("b/1.png", "no readable picture")),
        ((saved(GREY), saved(GREY)[:60]), ("b/1.png", "no readable picture")),
        ((saved(GREY), b""), ("b/1.png", "no readable picture")),
    ],
)
def test_the_picture_at_fault_is_named(pictures, words, tmp_path, refused):
    with refused(*words):
        read_raw(folder_of(tmp_path, *pictures))


def test_sizes_are_checked_before_pixels_are_unpacked(tmp_path, refused, monkeypatch):
    content = saved(np.zeros((1000, 1000), np.uint8))
    assert len(content) < 10_000
    monkeypatch.setenv("SETTLE_MAX_BYTES", "1e6")
    with refused("pictures", "limit"):
        read_raw(folder_of(tmp_path, content))


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, refused, monkeypatch):
    content = saved(GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with refused("0.png", "too many pixels"):
        read_raw(folder_of(tmp_path, content))


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(saved(GREY))


def test_numbers_as_names_of_classes_are_numbers(tmp_path):
    put(tmp_path, "train/10/a.png", "train/9/a.png", "test/9/a.png")
    raw = read_raw(str(tmp_path))
    assert (sorted(raw.y_train.tolist()), raw.y_test.tolist()) == ([9, 10], [9])


def test_only_pictures_of_classes_count(tmp_path):
    put(tmp_path, "train/a/0.png", "train/a/.hidden.png", "train/b/deeper/1.png", "train/loose.png", "train/.git/x.png")
    (tmp_path / "train/a/notes.txt").write_text("x")
    raw = read_raw(str(tmp_path))
    assert raw.y_train.tolist() == ["a", "b"]
    assert raw.x_test is None


@pytest.mark.parametrize(
    ("names", "n_test", "note"),
    [
        (("train/a/0.png", "train/b/0.png", "val/a/0.png"), 1, "taken as the test part"),
        (("train/a/0.png", "train/b/0.png", "val/a/0.png", "test/a/0.png", "test/b/1.png"), 2, "is not used"),
        (("unpacked/Train/a/0.png", "unpacked/Train/b/0.png", "unpacked/TEST/b/1.png"), 1, ""),
    ],
)
def test_parts_are_found_by_their_names(names, n_test, note, tmp_path):
    put(tmp_path, *names)
    raw = read_raw(str(tmp_path))
    assert (len(raw.x_train), len(raw.x_test)) == (2, n_test)
    assert note in "; ".join(raw.notes)


@pytest.mark.parametrize(
    ("names", "words"),
    [((), "no images by class"), (("loose.png",), "no images by class"), (("test/a/0.png",), "no train")],
)
def test_a_folder_without_classes_or_training_part_is_refused(names, words, tmp_path, refused):
    put(tmp_path, *names)
    with refused(tmp_path.name, words):
        read_raw(str(tmp_path))
