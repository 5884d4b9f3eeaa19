from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from shared_sources import CLASSES, images, picture
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from neuro.data.readers.objects import raw_of

DATA = images()
X, Y, X_TEST, Y_TEST = DATA.values()
PAIR = (X, Y)


class Pictures:
    """As a Dataset of torch, without being one: image and label by index."""

    def __init__(self, x=X, y=Y, form=lambda image, label: (image, int(label))):
        self.samples = [form(image, label) for image, label in zip(x, y, strict=True)]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y.tolist(), strict=True))


class HuggingFace(Pictures):
    """As a Dataset of Hugging Face."""

    column_names = ("pixels", "label")
    features = dict.fromkeys(column_names)

    def __getitem__(self, index):
        if isinstance(index, str):
            return [X, Y][self.column_names.index(index)].tolist()
        return super().__getitem__(index)


def tensors(x, y):
    return TensorDataset(torch.from_numpy(x.copy()), torch.from_numpy(y.copy()))


WHOLE = {
    "pair": PAIR,
    "lists": (X.tolist(), Y.tolist()),
    "tensors": (torch.from_numpy(X.copy()), torch.from_numpy(Y.copy())),
    "lists of tensors": ([torch.from_numpy(image.copy()) for image in X], [torch.tensor(label) for label in Y]),
    "pictures of Pillow": ([Image.fromarray(image) for image in X], Y),
    "mapping": {"images": X, "labels": Y},
    "TensorDataset": tensors(X, Y),
    "Dataset": Pictures(),
    "Dataset of mappings": Pictures(form=lambda image, label: {"image": image, "label": label}),
    "Dataset of Pillow's": Pictures(form=lambda image, label: (Image.fromarray(image), label)),
    "IterableDataset": Stream(),
    "shuffling DataLoader": DataLoader(tensors(X, Y), batch_size=7, shuffle=True, drop_last=True),
    "DataLoader of a stream": DataLoader(Stream(), batch_size=7),
    "list of samples": list(zip(X, Y.tolist(), strict=True)),
    "list of mappings": [{"img": image, "class": label} for image, label in zip(X, Y, strict=True)],
    "generator": (pair for pair in zip(X, Y.tolist(), strict=True)),
    "Hugging Face": HuggingFace(),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_images_and_labels_come_out_of_every_wrapping(kind):
    raw = raw_of(WHOLE[kind])
    np.testing.assert_array_equal(raw.x_train, X)
    np.testing.assert_array_equal(raw.y_train, Y)
    assert raw.x_test is None
    assert raw.source == ""


TEST = (X_TEST, Y_TEST)
PARTS = {
    "four": (*PAIR, *TEST),
    "in the order of train_test_split": (X, X_TEST, Y, Y_TEST),
    "as Keras": (PAIR, TEST),
    "mapping of four": DATA,
    "mapping of mappings": {"train": {"image": X, "label": Y}, "test": {"image": X_TEST, "label": Y_TEST}},
    "mapping of pairs": {"train": PAIR, "test": TEST},
    "two Datasets": (Pictures(), Pictures(*TEST)),
    "two DataLoaders": (DataLoader(tensors(*PAIR), shuffle=True), DataLoader(tensors(*TEST), batch_size=4)),
    "mapping of DataLoaders": {"train": DataLoader(tensors(*PAIR)), "valid": DataLoader(tensors(*TEST))},
    "DatasetDict": {"train": HuggingFace(), "test": Pictures(*TEST)},
}


@pytest.mark.parametrize("kind", PARTS)
def test_training_and_test_part_are_told_apart(kind):
    raw = raw_of(PARTS[kind])
    for name, expected in DATA.items():
        np.testing.assert_array_equal(getattr(raw, name), expected)


def test_a_sampler_of_a_loader_is_heeded():
    loader = DataLoader(tensors(X, Y), batch_size=7, sampler=SubsetRandomSampler(range(20)))
    assert len(raw_of(loader).x_train) == 20
    assert len(raw_of(Subset(tensors(X, Y), range(30))).x_train) == 30


def test_a_tensor_of_a_type_that_numpy_lacks_becomes_float():
    raw = raw_of((torch.full((4, 2), 0.5, dtype=torch.bfloat16, requires_grad=True), torch.arange(4)))
    assert (raw.x_train.dtype, float(raw.x_train[0, 0])) == (np.float32, 0.5)


BAD = {
    "number": (7, "of type int"),
    "nothing": (None, "of type NoneType"),
    "one array": ((X,), "a sequence of 1"),
    "empty": ([], "a sequence of 0"),
    "ragged": (([[1, 2], [3]], [0, 1]), "unequal shape"),
    "objects": (([{1}, {2}], [0, 1]), "of type set"),
    "dates": ((X, Y.astype("timedelta64[s]")), "timedelta64"),
    "numbers and text": ((X[:2], np.array([1, "a"], object)), "mixed"),
    "no names": ({"a": X, "b": Y}, "lacks x_train"),
    "samples of three": (Pictures(form=lambda image, label: (image, label, 0)), "a tuple of 3"),
    "sizes": (Pictures(form=lambda image, label: (image[: 4 + label], label)), "image 2 has shape (5, 8)"),
    "no samples": (Pictures(X[:0], Y[:0]), "no samples"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_data_is_refused(case, refused):
    data, words = BAD[case]
    with refused("data", words):
        raw_of(data)


def test_an_endless_stream_is_read_to_the_limit(monkeypatch, refused):
    class Endless:
        def __iter__(self):
            while True:
                yield X[0], 0

    monkeypatch.setenv("SETTLE_MAX_BYTES", "200000")
    with refused("limit"):
        raw_of(Endless())


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_frames_are_tables(package, refused):
    frames = pytest.importorskip(package)
    table = {f"pixel{k}": column for k, column in enumerate(X.reshape(len(X), -1).T)}
    frame = frames.DataFrame({**table, "kind": Y % 2, "species": np.array(CLASSES)[Y]})
    raw = raw_of(frame.drop("kind", axis=1) if package == "pandas" else frame.drop("kind"))
    np.testing.assert_array_equal(raw.x_train, X)
    assert raw.y_train.tolist() == np.array(CLASSES)[Y].tolist()
    features = frames.DataFrame(table)
    raw = raw_of((features, frames.Series(Y)))
    np.testing.assert_array_equal(raw.x_train, X.reshape(len(X), -1))
    np.testing.assert_array_equal(raw.y_train, Y)
    with refused("no value in row 2", "column a"):
        raw_of(frames.DataFrame({"a": [1.0, None, 2.0, 3.0], "label": [0, 1, 0, 1]}))


def test_hugging_faces_own_data_sets_are_read():
    pyarrow, datasets = pytest.importorskip("pyarrow"), pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    rows = {"image": [{"bytes": picture(image), "path": None} for image in X], "label": Y.tolist()}
    table = pyarrow.Table.from_pydict(rows, schema=features.arrow_schema)
    data = datasets.Dataset(table, info=datasets.DatasetInfo(features=features), fingerprint="a")
    raw = raw_of(datasets.DatasetDict({"train": data, "validation": data}))
    np.testing.assert_array_equal(raw.x_train, X)
    np.testing.assert_array_equal(raw.y_test, Y)
