"""Kinds of source that are read, row by row as the guide shows them; a test trains from every one.

python -m neuro.data.source_kinds    writes docs/guides/data-sources.md anew
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "data-sources.md"
HEADER = """# What can be given as data

`settle train ep --data SOURCE` and `settle.train(SOURCE)` take every kind of source below, without preparation by hand.
~ and $NAMES are expanded; the names of sets are known in any case. A reader gives images and labels as they are found;
what becomes 0..1, the order of channels and the numbers of classes come after it, said in a line each and recorded in
the run. Where a source has no test part, the seed draws a fifth of every class. What is read is bounded by
`SETTLE_MAX_BYTES` (8 GiB): sizes that a file declares are checked before memory is taken. No program in a file is run.

| kind | give | what it gives | needs |
|---|---|---|---|
"""
FOOTER = """
**Parts.** A file whose name says `train` or `training` has its test part in the one named `test` beside it
(`mnist_train.csv`, `mnist_test.csv`). A part named `val`, `valid`, `validation` or `dev` is taken as the test part
where there is no other; where there is, it is not used: training divides off its own.

**Names of arrays.** `x_train`, `X_train`, `trainImages`, `train_images`, `train/image`, `test_labels`, `y_test`, `X`
and `y`, `images` and `labels`, `data` and `target` and the like, in any case, nested or not.

**Tables.** Labels are the column called `label`, `class`, `target`, `y`, `species` or the like; else the last one, or
the first, if it looks like classes. Numbered pixels of 0..255 of a square are pictures. Columns that only number rows
are not used. A missing value, text among the features or a line of another length is refused with its line and column.

**Images.** png, jpg, bmp, gif, pgm, ppm, webp, tif. Labels are the names of the class folders. Palettes are colours,
16 bits stay 16 bits, transparency is dropped, grey and colour mixed become colour; images of unequal size are
refused by name.

**Extras.** `pip install "settle[data]"` for HDF5 and parquet, `pip install "settle[events]"` for tonic.
"""


@dataclass(frozen=True)
class Kind:
    """A row of the table. gives: what is read; needs: the extra whose packages read it."""

    what: str
    give: str
    gives: str
    needs: str = ""


KINDS = (
    Kind("digits", "`digits`", "scikit-learn's digits, 8 x 8, embedded; the seed draws the test part"),
    Kind("a named set", "`mnist`, `FashionMNIST`, `CIFAR-10`", "from `$SETTLE_DATA`, the cache, or downloaded once"),
    Kind("torchvision", "`torchvision:KMNIST`, `torchvision:EMNIST/letters`, `torchvision:SVHN`",
         "any set of images with one label each, downloaded once; both parts, as torchvision holds them"),
    Kind("scikit-learn", "`sklearn:wine`, `sklearn:iris`, `sklearn:breast_cancer`", "its toy sets, in their own units"),
    Kind("tonic", "`tonic:NMNIST`", "events of a recording, counted per pixel and polarity; their times are not used",
         "events"),
    Kind("images by class", "a folder of `train/CLASS/*.png` and `test/CLASS/*.png`", "both parts; names as labels"),
    Kind("images without parts", "a folder of `CLASS/*.jpg`", "the seed draws the test part"),
    Kind(".npz", "`mine.npz`", "arrays by their names; never unpickled"),
    Kind(".npz of medmnist", "`pathmnist.npz`", "`train_images`, `train_labels` of shape [n, 1], `test_images` ..."),
    Kind(".npy files", "`x_train.npy`", "this and `y_train.npy`, `x_test.npy`, `y_test.npy` beside it"),
    Kind("folder of .npy", "the folder", "the same"),
    Kind(".csv", "`train.csv`", "a table with or without a header; comma, semicolon, tabulator or bar"),
    Kind(".csv of MNIST's form", "`mnist_train.csv`", "the label first, then pixels: pictures"),
    Kind(".csv.gz", "`train.csv.gz`", "the same, packed"),
    Kind(".tsv", "`mine.tsv`", "a table, tabulators between cells"),
    Kind(".txt, .data", "`optdigits.data`", "a table, blanks or commas between cells"),
    Kind("parquet", "`train.parquet`", "a table of numbers, or of lists of numbers", "data"),
    Kind("parquet of images", "a folder with `data/train-00000-of-00002.parquet`",
         "Hugging Face's layout: packed pictures and labels of all shards", "data"),
    Kind("Arrow", "a folder with `train/data-00000-of-00001.arrow`", "as Hugging Face's `save_to_disk` writes", "data"),
    Kind(".pt", "`mine.pt`", "a dictionary of tensors, read as weights only: objects and programs are refused"),
    Kind(".pth of a pair", "`training.pth`", "(images, labels); `test.pth` beside it"),
    Kind(".safetensors", "`mine.safetensors`", "tensors by their names"),
    Kind("HDF5", "`mine.h5`, `mine.hdf5`", "data sets by their names; groups are parts of names", "data"),
    Kind(".mat", "`mine.mat`", "variables and structures of MATLAB 5 to 7"),
    Kind(".mat of SVHN's form", "`train_32x32.mat`", "`X` of shape [32, 32, 3, n] and `y`; samples first"),
    Kind(".mat 7.3", "`mine.mat`", "the same in HDF5; MATLAB's order of axes", "data"),
    Kind("IDX", "`train-images-idx3-ubyte`, packed (`.gz`) or not", "MNIST's own files beside each other"),
    Kind("folder of IDX", "the folder", "the same"),
    Kind("arrays", "`settle.train((images, labels))`, or four arrays", "as they are, in either usual order"),
    Kind("lists", "`settle.train((images, labels))`, or a list of `(image, label)`", "as arrays"),
    Kind("a mapping", '`settle.train({"X_train": images, "y_train": labels})`', "names as in `.npz`, nested or not"),
    Kind("tensors", "`settle.train((images, labels))`", "from whatever device"),
    Kind("a Dataset of torch", "`settle.train(dataset)`, or `(train, test)`", "its samples, in order"),
    Kind("a DataLoader", "`settle.train((loader, test_loader))`", "its samples; what only shuffles is read in order"),
    Kind("Hugging Face", "`settle.train(datasets.load_dataset(...))`", "a Dataset, or a DatasetDict with its parts"),
    Kind("a data frame", "`settle.train(frame)`, or `(features, labels)`", "of pandas or polars; a table as `.csv`"),
    Kind("a Dataset of events", "`settle.train(tonic.datasets.NMNIST(...))`", "counted as by `tonic:NMNIST`"),
)  # fmt: skip


def guide() -> str:
    """The page of the guide, in Markdown."""
    rows = "".join(f"| {kind.what} | {kind.give} | {kind.gives} | {kind.needs} |\n" for kind in KINDS)
    return f"{HEADER}{rows}{FOOTER}"


if __name__ == "__main__":
    PAGE.write_text(guide(), encoding="utf-8")
