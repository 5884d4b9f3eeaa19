"""Parquet and Arrow files: tables of numbers, lists of numbers as vectors, Hugging Face's images as packed pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import read_bytes, require_regular
from neuro.base.memory import require_bytes
from neuro.data.raw import RawData
from neuro.data.readers.arrays import as_array
from neuro.data.readers.extras import require_extra
from neuro.data.readers.keys import listed, test_split
from neuro.data.readers.parts import Part, joined, split_in, test_file
from neuro.data.readers.records import part_of_columns

ENDINGS = (".parquet", ".arrow")
ROWS_AT_ONCE = 1024
WIDTHS = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8, "INT96": 12}  # of one value, in bytes


def read_parquet(path: Path) -> RawData:
    """The data in a parquet file; one whose name says train has its test part in the one named test beside it.

    Raises: UserError if pyarrow is missing, the file damaged, or no column holds images or labels.
    """
    train = _part([path], f"table {path}")
    other, notes = test_file(path)
    parts = [train, *([_part([other], f"table {other}", train.label)] if other else [])]
    return joined(path.stem, str(path.resolve()), parts, notes)


def read_parquet_folder(folder: Path) -> RawData:
    """The data in the parquet or Arrow files of a folder, as Hugging Face keeps them.

    A file's own name, or else its folder's, says of which part it is: data/train-00000-of-00002.parquet, train/0.arrow.
    """
    files: dict[str, list[Path]] = {}
    for file in sorted(
        f for f in folder.rglob("*") if f.suffix.lower() in ENDINGS and not f.name.startswith(("cache-", "."))
    ):
        files.setdefault(_split_of(file, folder), []).append(file)
    if "" in files and "train" not in files:
        files["train"] = files.pop("")
    if "train" not in files:
        raise UserError(f"folder {folder}: no training part among {listed(files)}; name the files train-*.parquet")
    test, notes = test_split(set(files), set(files))
    train = _part(files["train"], f"folder {folder}")
    parts = [train, *([_part(files[test], f"folder {folder}", train.label)] if test else [])]
    return joined(folder.resolve().name, str(folder.resolve()), parts, notes)


def _split_of(file: Path, folder: Path) -> str:
    for name in (file.stem, *reversed(file.relative_to(folder).parts[:-1])):
        found = split_in(name)
        if found is not None:
            return found[0]
    return ""


def _part(files: Sequence[Path], place: str, label: str = "") -> Part:
    require_extra("pyarrow", "data", place)
    import pyarrow

    try:
        tables = [_table(file) for file in files]
        table = pyarrow.concat_tables(tables) if len(tables) > 1 else tables[0]
        table.validate(full=True)  # offsets beyond the buffers would end the process
        columns = {name: _values(table.column(name), f"{place}, column {name}") for name in table.column_names}
    except UserError:
        raise
    except (pyarrow.ArrowException, OSError, LookupError, ValueError, TypeError) as error:
        raise UserError(f"{place}: damaged, or no such table ({first_line(error)}); copy it again") from error
    return part_of_columns(columns, place, label)


def _table(file: Path) -> Any:
    """The table in a file; what it declares to hold unpacked is checked first."""
    import pyarrow

    require_regular(file)
    if file.suffix.lower() == ".arrow":
        with pyarrow.ipc.open_stream(pyarrow.BufferReader(read_bytes(file))) as stream:
            return _bounded(stream, stream.schema, file)
    from pyarrow import parquet

    with parquet.ParquetFile(file) as opened:
        require_bytes(f"table {file}", _declared(opened.metadata))
        return _bounded(opened.iter_batches(ROWS_AT_ONCE), opened.schema_arrow, file)


def _bounded(batches: Iterable[Any], schema: Any, file: Path) -> Any:
    """The table of some batches, as far as it may be read: a text that is kept once may come out many times."""
    import pyarrow

    kept, n_bytes = [], 0
    for batch in batches:
        kept.append(batch)
        n_bytes += batch.nbytes
        require_bytes(f"table {file}", n_bytes)
    return pyarrow.Table.from_batches(kept, schema)


def _declared(metadata: Any) -> int:
    """What a parquet file holds unpacked by its own account, in bytes."""
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    chunks = [group.column(k) for group in groups for k in range(group.num_columns)]
    return sum(
        max(chunk.num_values * WIDTHS.get(chunk.physical_type, 1), chunk.total_uncompressed_size) for chunk in chunks
    )


def _values(column: Any, place: str) -> Array | list[Any]:
    """A column as an array; entries that are no numbers or text as Python has them."""
    import pyarrow

    kind = column.type
    if isinstance(kind, pyarrow.BaseExtensionType):
        column, kind = pyarrow.chunked_array([chunk.storage for chunk in column.chunks]), kind.storage_type
    if pyarrow.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    types = pyarrow.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        if column.null_count and not types.is_floating(kind):
            column = column.cast(pyarrow.float64())
        return np.asarray(column.to_numpy())
    if types.is_string(kind) or types.is_large_string(kind):
        return as_array([text if text is not None else "" for text in column.to_pylist()], place)
    entries: list[Any] = column.to_pylist()
    return entries
