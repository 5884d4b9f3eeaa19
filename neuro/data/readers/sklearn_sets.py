"""scikit-learn's data sets by name: sklearn:wine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from neuro.base.checks import require_choice
from neuro.base.errors import UserError, first_line
from neuro.data.raw import RawData
from neuro.data.readers.named_sets import cache_folder

EMBEDDED = {"wine": "load_wine", "iris": "load_iris", "breast_cancer": "load_breast_cancer", "digits": "load_digits"}
DOWNLOADED = {"olivetti_faces": "fetch_olivetti_faces", "lfw_people": "fetch_lfw_people", "covtype": "fetch_covtype"}
REGRESSION = ("diabetes", "california_housing", "linnerud")


def read_sklearn(source: str) -> RawData:
    """The data set that `sklearn:NAME` means: pictures where there are some, else features, as they are there.

    Raises: UserError if there is none of this name, it is one for regression, or cannot be downloaded.
    """
    name = source.partition(":")[2].lower().replace("-", "_").removeprefix("load_").removeprefix("fetch_")
    if name in REGRESSION:
        raise UserError(f"sklearn:{name}: its targets are quantities, no classes; give one of {', '.join(EMBEDDED)}")
    require_choice("sklearn data set", name, [*EMBEDDED, *DOWNLOADED])
    bunch = _bunch(name)
    x = np.asarray(bunch["images"] if "images" in bunch else bunch["data"])
    return RawData(name, x, np.asarray(bunch["target"]), source=f"sklearn:{name}")


def _bunch(name: str) -> Any:
    from sklearn import datasets

    if name in EMBEDDED:
        return getattr(datasets, EMBEDDED[name])()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of every attempt
            return getattr(datasets, DOWNLOADED[name])(data_home=str(cache_folder() / "sklearn"))
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise UserError(f"sklearn:{name}: download failed ({reason}); look at the network") from error
