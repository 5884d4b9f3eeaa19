from __future__ import annotations

import numpy as np
import pytest
from shared_sources import CLASSES, FILES, images

from neuro.data.sources import read_raw

NAMES_OF_CLASSES = ("png folder", "bmp folder", "pgm folder", "tif folder", ".parquet")


def by_class(x, y):
    """Rows of images in an order that does not depend on that of the source: by label, then by content."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    labels = np.asarray(y).ravel()
    order = np.lexsort([*flat.T[::-1], labels])
    return flat[order], labels[order]


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_gives_the_same_images_and_labels(kind, tmp_path):
    data = images()
    raw = read_raw(str(FILES[kind](tmp_path, data)))
    for part in ("train", "test"):
        y = data[f"y_{part}"]
        expected = np.array(CLASSES)[y] if kind in NAMES_OF_CLASSES else y
        found = by_class(getattr(raw, f"x_{part}"), getattr(raw, f"y_{part}"))
        for got, wanted in zip(found, by_class(data[f"x_{part}"], expected), strict=True):
            np.testing.assert_array_equal(got, wanted)
        assert getattr(raw, f"x_{part}").shape == data[f"x_{part}"].shape
    assert raw.source.startswith(str(tmp_path))
