import errno
import json
import os
import platform

import numpy as np
import pytest
from shared_damage import changed, cut

from neuro.artifact.run_folder import (
    MANIFEST,
    SPEC,
    WEIGHTS,
    Artifact,
    installed_versions,
    load_artifact,
    manifest_hash,
    save_artifact,
)
from neuro.artifact.sigma_delta import spec_arrays, spec_to_json
from neuro.base import files
from neuro.base.errors import UserError
from neuro.base.files import sha256

FACTS = {"seed": 3, "config": {"rule": "event", "hidden": [4, 5]}, "results": {"test_accuracy": 0.975}}


@pytest.fixture
def run(tmp_path, small_spec):
    save_artifact(tmp_path / "run", Artifact(small_spec, FACTS))
    return tmp_path / "run"


def same_spec(a, b) -> bool:
    arrays_a, arrays_b = spec_arrays(a), spec_arrays(b)
    return (
        spec_to_json(a) == spec_to_json(b)
        and arrays_a.keys() == arrays_b.keys()
        and all(np.array_equal(arrays_a[name], arrays_b[name]) for name in arrays_a)
    )


def test_loading_gives_back_what_was_saved(run, small_spec):
    artifact = load_artifact(run)
    assert same_spec(artifact.spec, small_spec)
    assert {key: artifact.manifest[key] for key in FACTS} == FACTS
    assert {p.name for p in run.iterdir()} == {SPEC, WEIGHTS, MANIFEST}


def test_saving_again_gives_the_same_files(run, tmp_path):
    artifact = load_artifact(run)
    save_artifact(tmp_path / "copy", artifact)
    for file in run.iterdir():
        assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_every_changed_byte_is_noticed(name, run, refused):
    for position in range((run / name).stat().st_size):
        with changed(run / name, position, 1 << position % 8), refused(str(run), name, "truncated or edited"):
            load_artifact(run)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_every_truncation_is_noticed(name, run, refused):
    for _ in cut(run / name, range((run / name).stat().st_size)):
        with refused(str(run), name):
            load_artifact(run)


def test_every_truncation_of_the_manifest_is_noticed(run, refused):
    content = (run / MANIFEST).read_bytes()
    for _ in cut(run / MANIFEST, range(len(content.rstrip()))):
        with refused(MANIFEST):
            load_artifact(run)


def test_a_changed_byte_of_the_manifest_is_noticed_or_is_mere_layout(run, small_spec):
    before = load_artifact(run).manifest
    for position in range((run / MANIFEST).stat().st_size):
        with changed(run / MANIFEST, position, 1 << position % 8):
            try:
                artifact = load_artifact(run)
            except UserError:
                pass
            else:
                assert artifact.manifest == before
                assert same_spec(artifact.spec, small_spec)


def edit_manifest(run, **changes):
    """Change the manifest as someone would who knows how to hash it."""
    manifest = {**json.loads((run / MANIFEST).read_bytes()), **changes}
    (run / MANIFEST).write_text(json.dumps({**manifest, "manifest_sha256": manifest_hash(manifest)}))


def test_an_edited_result_is_noticed(run, refused):
    content = (run / MANIFEST).read_text()
    (run / MANIFEST).write_text(content.replace("0.975", "0.985"))
    with refused(MANIFEST, "edited"):
        load_artifact(run)


@pytest.mark.parametrize("files_entry", [None, [], {}, {SPEC: "0" * 64, WEIGHTS: "0" * 64}])
def test_a_manifest_without_the_right_hashes_is_refused(files_entry, run, refused):
    edit_manifest(run, files=files_entry)
    with refused(SPEC if isinstance(files_entry, dict) else "needs an object"):
        load_artifact(run)


def test_another_format_is_refused(run, refused):
    edit_manifest(run, format=999)
    with refused(str(run), "format 999", "train it again"):
        load_artifact(run)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS, MANIFEST])
def test_a_missing_file_is_named(name, run, refused):
    (run / name).unlink()
    with refused(name):
        load_artifact(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path, refused):
    with refused(str(tmp_path / "none"), MANIFEST, "settle train"):
        load_artifact(tmp_path / "none")


def test_pickled_weights_are_refused_even_with_the_right_hash(run, refused):
    np.savez(run / WEIGHTS, **{"weights.input->hidden1": np.array([{}], dtype=object)})
    hashes = {name: sha256((run / name).read_bytes()) for name in (SPEC, WEIGHTS)}
    edit_manifest(run, files=hashes)
    with refused(WEIGHTS, "pickled objects"):
        load_artifact(run)


@pytest.mark.parametrize("n_written", [0, 1, 2])
def test_a_disk_that_fills_up_while_saving_never_mixes_two_networks(n_written, run, small_spec, monkeypatch, refused):
    name = "input->hidden1"
    other = small_spec.with_weights({name: -small_spec.projection(name).weights})
    written = []
    replace = os.replace

    def replace_some(source, target):
        if len(written) == n_written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", replace_some)
    with refused("disk is full"):
        save_artifact(run, Artifact(other, FACTS))
    monkeypatch.undo()
    assert {p.name for p in run.iterdir()} == {SPEC, WEIGHTS, MANIFEST}
    if n_written == 2:  # new weights under the old manifest
        with refused(WEIGHTS):
            load_artifact(run)
    else:
        assert same_spec(load_artifact(run).spec, small_spec)


def test_versions_name_python_and_the_packages_that_decide_a_result():
    versions = installed_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
