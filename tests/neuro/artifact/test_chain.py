"""Chains in files: the same again, or one refusal."""

import numpy as np
import pytest

from neuro.artifact.chain import chain_arrays, chain_from_json, chain_to_json
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError


@pytest.mark.parametrize("form", ["spiking", "graded"])
def test_a_chain_comes_back_as_it_was(form, chains):
    chain = load_artifact(chains[f"behind {form}"]).spec
    back = chain_from_json(chain_to_json(chain), chain_arrays(chain))
    assert chain_to_json(back) == chain_to_json(chain)
    assert (back.kind, back.front.kind, back.code_shift) == ("chain", f"{form}-coder", chain.code_shift)
    assert chain_arrays(back).keys() == chain_arrays(chain).keys()
    for name, values in chain_arrays(chain).items():
        np.testing.assert_array_equal(chain_arrays(back)[name], values)


@pytest.mark.parametrize("key", ["front", "back", "code_shift"])
def test_what_lacks_something_is_refused(key, chains):
    chain = load_artifact(chains["behind spiking"]).spec
    content = chain_to_json(chain)
    del content[key]
    with pytest.raises(UserError, match=f"spec: not a chain of this version .KeyError: '{key}'"):
        chain_from_json(content, chain_arrays(chain))
