import io

import numpy as np
import pytest
from PIL import Image

from neuro.data.jpeg import decode_jpeg_arrays
from neuro.data.sets import load_dataset


def jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def packed(pictures: list[bytes], split: str) -> dict[str, np.ndarray]:
    return {
        f"jpeg_{split}": np.frombuffer(b"".join(pictures), np.uint8),
        f"offset_{split}": np.cumsum([0, *map(len, pictures)]),
        f"y_{split}": np.arange(len(pictures)) % 2,
    }


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """Twelve one-colour pictures of 8 x 6 in colour: picture i has red 20 i."""
    return [jpeg(np.full((8, 6, 3), (20 * i, 100, 50), np.uint8)) for i in range(12)]


@pytest.fixture
def arrays(pictures):
    return packed(pictures, "train") | packed(pictures[:3], "test")


def test_pictures_come_out_in_order_as_pillow_decodes_them(arrays, pictures, tmp_path):
    decoded = decode_jpeg_arrays(arrays, tmp_path)
    assert decoded["x_train"].shape == (12, 8, 6, 3)
    assert decoded["x_test"].shape == (3, 8, 6, 3)
    for image, picture in zip(decoded["x_train"], pictures, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(picture))))
    np.testing.assert_allclose(decoded["x_train"][:, 0, 0, 0], 20.0 * np.arange(12), atol=4)
    np.testing.assert_array_equal(decoded["y_train"], arrays["y_train"])


def test_a_data_file_may_keep_its_images_as_jpeg(arrays, tmp_path):
    np.savez(tmp_path / "photos.npz", **arrays)
    dataset = load_dataset(str(tmp_path / "photos.npz"))
    assert (dataset.image_shape, dataset.n_classes, dataset.x_train.dtype) == ((8, 6, 3), 2, np.uint8)


def test_a_named_set_may_be_kept_as_jpeg(arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("SETTLE_DATA", str(tmp_path))
    np.savez(tmp_path / "cifar10_jpeg.npz", **arrays)
    assert load_dataset("cifar10").name == "cifar10"


def test_grey_pictures_have_no_colour_axis(tmp_path):
    grey = [jpeg(np.full((4, 4), 80, np.uint8))] * 3
    decoded = decode_jpeg_arrays(packed(grey, "train") | packed(grey, "test"), tmp_path)
    assert decoded["x_test"].shape == (3, 4, 4)


@pytest.mark.parametrize("key", ["offset_train", "y_train", "jpeg_test", "offset_test", "y_test"])
def test_a_missing_array_is_named(key, arrays, tmp_path, refused):
    del arrays[key]
    with refused("photos.npz", f"lacks {key}"):
        decode_jpeg_arrays(arrays, tmp_path / "photos.npz")


@pytest.mark.parametrize("damage", [lambda p: b"no picture", lambda p: p[: len(p) // 2], lambda p: b""])
def test_a_picture_that_cannot_be_decoded_is_numbered(damage, pictures, tmp_path, refused):
    damaged = [*pictures[:2], damage(pictures[2]), *pictures[3:]]
    with refused("photos.npz", "image 2", "no readable JPEG"):
        decode_jpeg_arrays(packed(damaged, "train") | packed(pictures, "test"), tmp_path / "photos.npz")


def test_other_picture_formats_are_refused(pictures, tmp_path, refused):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 8)).save(buffer, "PNG")
    with refused("photos.npz", "image 0"):
        decode_jpeg_arrays(packed([buffer.getvalue()], "train") | packed(pictures, "test"), tmp_path / "photos.npz")


def test_pictures_of_two_sizes_are_refused(pictures, tmp_path, refused):
    mixed = [pictures[0], jpeg(np.zeros((5, 5, 3), np.uint8))]
    with refused("photos.npz", "differ in size", "make them equal"):
        decode_jpeg_arrays(packed(mixed, "train") | packed(pictures, "test"), tmp_path / "photos.npz")
