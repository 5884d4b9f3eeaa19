"""Small files and folders of every kind that hold the same data: grey images of shape [n, 8, 8], uint8, labels 0..2."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]
SIDE, N_TRAIN, N_TEST = 8, 60, 21
CLASSES = ("cat", "dog", "fox")
PARTS = ("train", "test")


def images(n_train: int = N_TRAIN, n_test: int = N_TEST) -> Arrays:
    """The data: noisy copies of one picture per class, the labels in turn."""
    generator = np.random.default_rng(11)
    y = np.arange(n_train + n_test) % len(CLASSES)
    x = generator.integers(0, 200, (len(CLASSES), SIDE, SIDE))[y] + generator.integers(0, 56, (len(y), SIDE, SIDE))
    x = x.astype(np.uint8)
    return {"x_train": x[:n_train], "y_train": y[:n_train], "x_test": x[n_train:], "y_test": y[n_train:]}


def npz(folder: Path, data: Arrays) -> Path:
    np.savez(folder / "mine.npz", **data)
    return folder / "mine.npz"


def npz_named(x: str, y: str) -> Callable[[Path, Arrays], Path]:
    """An .npz with other names; {} stands for the part."""

    def make(folder: Path, data: Arrays) -> Path:
        named = {name.format(part): data[f"{role}_{part}"] for role, name in (("x", x), ("y", y)) for part in PARTS}
        np.savez(folder / "mine.npz", **named)
        return folder / "mine.npz"

    return make


def npy_folder(folder: Path, data: Arrays) -> Path:
    for name, array in data.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def npy_file(folder: Path, data: Arrays) -> Path:
    return npy_folder(folder, data) / "x_train.npy"


def picture(image: np.ndarray, kind: str = "PNG") -> bytes:
    """A packed picture."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def image_folder(ending: str = "png", kind: str = "PNG", train: str = "train", test: str = "test") -> Any:
    def make(folder: Path, data: Arrays) -> Path:
        for part, name in zip(PARTS, (train, test), strict=True):
            for k, (image, label) in enumerate(zip(data[f"x_{part}"], data[f"y_{part}"], strict=True)):
                place = folder / "pictures" / name / CLASSES[label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{k:03}.{ending}").write_bytes(picture(image, kind))
        return folder / "pictures"

    return make


def flat_image_folder(folder: Path, data: Arrays) -> Path:
    return image_folder()(folder, data) / "train"


def table(ending: str, delimiter: str, header: str = "label", first: bool = True, packed: bool = False) -> Any:
    """train and test beside each other. header: name of the labels, "" for no header; first: labels stand there."""

    def make(folder: Path, data: Arrays) -> Path:
        for part in PARTS:
            text = io.StringIO()
            writer = csv.writer(text, delimiter=delimiter)
            names = [f"pixel{k}" for k in range(SIDE * SIDE)]
            for k, (image, label) in enumerate(zip(data[f"x_{part}"], data[f"y_{part}"], strict=True)):
                if k == 0 and header:
                    writer.writerow([header, *names] if first else [*names, header])
                writer.writerow([label, *image.ravel()] if first else [*image.ravel(), label])
            content = text.getvalue().encode()
            (folder / f"my_{part}{ending}").write_bytes(gzip.compress(content) if packed else content)
        return folder / f"my_train{ending}"

    return make


def idx_folder(packed: bool) -> Callable[[Path, Arrays], Path]:
    def make(folder: Path, data: Arrays) -> Path:
        for part, stem in zip(PARTS, ("train", "t10k"), strict=True):
            for role, name in (("x", "images-idx3"), ("y", "labels-idx1")):
                array = data[f"{role}_{part}"].astype(np.uint8)
                content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
                file = folder / f"{stem}-{name}-ubyte{'.gz' if packed else ''}"
                file.write_bytes(gzip.compress(content) if packed else content)
        return folder

    return make


def idx_file(folder: Path, data: Arrays) -> Path:
    return idx_folder(packed=False)(folder, data) / "train-images-idx3-ubyte"


def torch_mapping(folder: Path, data: Arrays) -> Path:
    import torch

    torch.save({name: torch.from_numpy(array.copy()) for name, array in data.items()}, folder / "mine.pt")
    return folder / "mine.pt"


def torch_pairs(folder: Path, data: Arrays) -> Path:
    import torch

    for part, name in zip(PARTS, ("training", "test"), strict=True):
        pair = tuple(torch.from_numpy(data[f"{role}_{part}"].copy()) for role in "xy")
        torch.save(pair, folder / f"{name}.pth")
    return folder / "training.pth"


def safetensors(folder: Path, data: Arrays) -> Path:
    header, numbers = {}, b""
    for name, array in data.items():
        content = array.tobytes()
        dtype = {"uint8": "U8", "int64": "I64"}[array.dtype.name]
        header[name] = {
            "dtype": dtype,
            "shape": array.shape,
            "data_offsets": [len(numbers), len(numbers) + len(content)],
        }
        numbers += content
    text = json.dumps(header).encode()
    (folder / "mine.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return folder / "mine.safetensors"


def hdf5(ending: str, x: str = "{}/images", y: str = "{}/labels") -> Callable[[Path, Arrays], Path]:
    def make(folder: Path, data: Arrays) -> Path:
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / f"mine{ending}", "w") as file:
            for part in PARTS:
                file.create_dataset(x.format(part), data=data[f"x_{part}"], compression="gzip")
                file[y.format(part)] = data[f"y_{part}"]
        return folder / f"mine{ending}"

    return make


def mat(folder: Path, data: Arrays) -> Path:
    from scipy.io import savemat

    savemat(folder / "mine.mat", {"mine": {"trainImages": data["x_train"], "trainLabels": data["y_train"]},
                                  "X_test": data["x_test"], "y_test": data["y_test"]}, do_compression=True)  # fmt: skip
    return folder / "mine.mat"


def mat_svhn(folder: Path, data: Arrays) -> Path:
    """As SVHN: X of [h, w, n] here, labels of [n, 1], one file a part."""
    from scipy.io import savemat

    for part in PARTS:
        x, y = data[f"x_{part}"], data[f"y_{part}"]
        savemat(folder / f"{part}_8x8.mat", {"X": np.moveaxis(x, 0, -1), "y": y[:, None]})
    return folder / "train_8x8.mat"


def mat_73(folder: Path, data: Arrays) -> Path:
    """As MATLAB writes since 7.3: HDF5 behind 512 bytes, axes reversed."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "mine.mat", "w", userblock_size=512) as file:
        for name, array in data.items():
            file[name] = (array[:, None] if array.ndim == 1 else array).T
    with open(folder / "mine.mat", "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    return folder / "mine.mat"


def parquet(folder: Path, data: Arrays) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for part in PARTS:
        flat = data[f"x_{part}"].reshape(-1, SIDE * SIDE)
        columns = {f"pixel{k}": flat[:, k] for k in range(flat.shape[1])}
        columns["species"] = np.array(CLASSES)[data[f"y_{part}"]]
        parquet.write_table(pyarrow.table(columns), folder / f"{part}.parquet")
    return folder / "train.parquet"


def parquet_images(folder: Path, data: Arrays) -> Path:
    """As Hugging Face: data/train-00000-of-00002.parquet with packed pictures."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (folder / "data").mkdir()
    for part in PARTS:
        rows = [
            {"image": {"bytes": picture(image), "path": None}, "label": int(label)}
            for image, label in zip(data[f"x_{part}"], data[f"y_{part}"], strict=True)
        ]
        half = len(rows) // 2
        for shard, some in enumerate((rows[:half], rows[half:])):
            parquet.write_table(
                pyarrow.Table.from_pylist(some), folder / "data" / f"{part}-0000{shard}-of-00002.parquet"
            )
    return folder


def arrow_folder(folder: Path, data: Arrays) -> Path:
    """As save_to_disk of Hugging Face: train/data-00000-of-00001.arrow, a stream."""
    pyarrow = pytest.importorskip("pyarrow")
    for part in PARTS:
        columns = {"pixels": data[f"x_{part}"].tolist(), "label": data[f"y_{part}"]}
        content = pyarrow.table(columns)
        (folder / part).mkdir()
        with pyarrow.OSFile(str(folder / part / "data-00000-of-00001.arrow"), "wb") as file:
            with pyarrow.ipc.new_stream(file, content.schema) as stream:
                stream.write_table(content)
    return folder


FILES: dict[str, Callable[[Path, Arrays], Path]] = {
    ".npz": npz,
    ".npz of capitals": npz_named("X_{}", "Y_{}"),
    ".npz of medmnist": npz_named("{}_images", "{}_labels"),
    ".npz of camels": npz_named("{}Data", "{}Targets"),
    ".npy folder": npy_folder,
    ".npy file": npy_file,
    "png folder": image_folder(),
    "bmp folder": image_folder("BMP", "BMP", "Training", "Testing"),
    "pgm folder": image_folder("pgm", "PPM", "train", "valid"),
    "tif folder": image_folder("tif", "TIFF"),
    ".csv": table(".csv", ","),
    ".csv of MNIST's form": table(".csv", ",", header=""),
    ".csv.gz": table(".csv.gz", ",", packed=True),
    ".tsv": table(".tsv", "\t", header="Class", first=False),
    ".txt": table(".txt", " ", header="", first=False),
    "IDX folder": idx_folder(packed=False),
    "IDX folder, packed": idx_folder(packed=True),
    "IDX file": idx_file,
    ".pt": torch_mapping,
    ".pth": torch_pairs,
    ".safetensors": safetensors,
    ".h5": hdf5(".h5"),
    ".hdf5": hdf5(".hdf5", "{}_set_x", "{}_set_y"),
    ".mat": mat,
    ".mat of SVHN's form": mat_svhn,
    ".mat 7.3": mat_73,
    ".parquet": parquet,
    ".parquet of images": parquet_images,
    ".arrow folder": arrow_folder,
}
