"""Artefacts are complete or absent; pre-trained weights as files."""

import errno
import hashlib
import os

import numpy as np
import pandas as pd
import pytest

from lib.models import weights
from lib.study import artefacts
from lib.study.errors import ArtefactError
from lib.study.params import Fractal, Weights
from lib.study.paths import ROOT, StudyPaths


def finished(path, content="content", **options):
    """A complete artefact with this content."""
    record = artefacts.begin(path, parameters={"a": 1}, **options)
    artefacts.write_text(path, content)
    record.complete()
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failing_writer_leaves_nothing_and_keeps_the_older_file(tmp_path):
    path = tmp_path / "maps.npz"
    path.write_bytes(b"older")
    with pytest.raises(ZeroDivisionError), artefacts.atomic(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert names(tmp_path) == ["maps.npz"] and path.read_bytes() == b"older"
    with artefacts.atomic(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".npz"
        temporary.write_bytes(b"newer")
        assert path.read_bytes() == b"older"
    assert names(tmp_path) == ["maps.npz"] and path.read_bytes() == b"newer"


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"older")
    with (
        pytest.raises(ArtefactError, match=r"table\.csv: could not be .* \(No space .*; free some"),
        artefacts.atomic(path) as temporary,
    ):
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == ["table.csv"] and path.read_bytes() == b"older"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtefactError, match=r"file/table\.csv: could not be written \("):
        artefacts.write_text(tmp_path / "file/table.csv", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArtefactError, match=r"folder: could not be written \(Is a directory\)"):
        artefacts.write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["file", "folder"]


def test_the_manifest_tells_what_made_the_artefact(tmp_path):
    before = finished(tmp_path / "data/films.csv", "films")
    path, companion = tmp_path / "models/net.keras", tmp_path / "models/net.history.csv"
    record = artefacts.begin(path, parameters={"epochs": 3}, inputs=[before])
    artefacts.write_text(path, "größer")
    artefacts.write_text(companion, "")
    returned = record.complete(companion, films=12)
    manifest = artefacts.read_manifest(path)
    assert manifest == returned
    digest = hashlib.sha256("größer".encode()).hexdigest()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert manifest["status"] == "complete" and manifest["films"] == 12
    assert manifest["files"] == {
        "net.keras": {"sha256": digest, "bytes": 8},
        "net.history.csv": {"sha256": empty, "bytes": 0},
    }
    assert manifest["inputs"] == {"../data/films.csv": hashlib.sha256(b"films").hexdigest()}
    assert manifest["parameters"] == {"epochs": 3}
    assert manifest["versions"]["numpy"] == np.__version__
    assert artefacts.require(path) == digest


def test_only_files_written_since_the_beginning_count_as_written(tmp_path):
    for name in ("theirs.png", "again.png"):
        artefacts.write_text(tmp_path / name, "older")
    record = artefacts.begin(tmp_path / "table.csv", parameters={})
    for name, clock in (("again.png", 1e9), ("new.png", 4e9), ("new.csv", 2e9)):  # it jumps
        artefacts.write_text(tmp_path / name, "newer")
        os.utime(tmp_path / name, (clock, clock))
    (tmp_path / "other.png").write_text("of another process, at the same time")
    assert record.written(tmp_path, "*.png") == [tmp_path / "again.png", tmp_path / "new.png"]


def test_inputs_of_one_name_are_all_recorded(tmp_path):
    paths = [finished(tmp_path / f"maps/{a}/transfer-s0.npz", a) for a in ("one", "two")]
    record = artefacts.begin(tmp_path / "tables/drift.csv", parameters={}, inputs=paths)
    assert record.inputs == {
        f"../maps/{a}/transfer-s0.npz": hashlib.sha256(a.encode()).hexdigest()
        for a in ("one", "two")
    }


def test_the_key_is_that_of_parameters_and_inputs_wherever_the_results_lie(tmp_path):
    def key(folder, content="films", **parameters):
        film = finished(folder / "data/films.csv", content)
        return artefacts.begin(folder / "net", parameters=parameters, inputs=[film]).key

    reference = key(tmp_path / "a", epochs=3, seed=1)
    assert key(tmp_path / "b", seed=1, epochs=3) == reference
    assert key(tmp_path / "a", seed=2, epochs=3) != reference
    assert key(tmp_path / "a", "others", seed=1, epochs=3) != reference


def test_a_run_that_breaks_off_leaves_no_manifest(tmp_path):
    """Beginning anew withdraws the manifest, and only the last step writes it."""
    path = finished(tmp_path / "table.csv", "older")
    record = artefacts.begin(path, parameters={})
    assert names(tmp_path) == ["table.csv"]
    artefacts.write_text(path, "newer")
    with pytest.raises(FileNotFoundError):
        record.complete(tmp_path / "figure.png")  # a companion that was never written
    assert names(tmp_path) == ["table.csv"]
    with pytest.raises(ArtefactError, match=r"not complete \(no manifest table\.csv\.json beside"):
        artefacts.require(path)
    with pytest.raises(ArtefactError, match="not complete"):
        artefacts.begin(tmp_path / "next.csv", parameters={}, inputs=[path])


def test_inputs_that_are_not_what_was_recorded_are_refused(tmp_path):
    path = finished(tmp_path / "films.csv")
    later = finished(tmp_path / "net.keras", inputs=[path])
    path.write_text("changed")
    found, recorded = (hashlib.sha256(x).hexdigest()[:12] for x in (b"changed", b"content"))
    with pytest.raises(ArtefactError, match=rf"SHA-256 {found}…, the manifest has {recorded}…"):
        artefacts.begin(later, parameters={}, inputs=[path])
    assert artefacts.require(later), "a refused start must not withdraw what was complete"
    path.unlink()
    with pytest.raises(ArtefactError, match=r"films\.csv: missing although the manifest of films"):
        artefacts.require(path)
    artefacts.manifest_path(path).write_text("{")
    with pytest.raises(ArtefactError, match=r"films\.csv\.json: not valid JSON .* Delete it"):
        artefacts.require(path)


def test_a_companion_is_not_the_main_file_of_an_artefact(tmp_path):
    path, companion = finished(tmp_path / "net.keras"), tmp_path / "history.csv"
    record = artefacts.begin(path, parameters={})
    artefacts.write_text(companion, "epoch")
    record.complete(companion)
    with pytest.raises(ArtefactError, match=r"history\.csv: not complete"):
        artefacts.require(companion)


def test_tables_keep_ids_and_names_as_text(tmp_path):
    text = {
        "image_id": ["0012", "1e5", "NA", "a,\"b\"\nc"], "partner_id": ["007", "nan", "None", "x"],
        "patient_id": ["010", "00", "null", "-"], "label": ["NA", "None", "nan", "covid19"],
        "predicted": ["None", "NA", "1", "01"], "file": ["ä 1.png", "N/A", "", "2"],
        "split": ["test", "test", "train", "train"],
    }  # fmt: skip
    numbers = {"row": [0, 1, 2, 3], "pearson": [0.25, np.nan, -1, np.inf]}
    table = pd.DataFrame(text | numbers)
    artefacts.write_table(tmp_path / "t.csv", table)
    read = artefacts.read_table(tmp_path / "t.csv")
    assert {name: read[name].tolist() for name in text} == text
    assert read["row"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(read["pearson"], numbers["pearson"])


def test_tables_have_the_same_bytes_everywhere(tmp_path):
    table = pd.DataFrame({"id": ["ä"], "value": [1 / 3], "large": [1234567.8], "n": [1234567890]})
    artefacts.write_table(tmp_path / "t.csv", table)
    expected = "id,value,large,n\nä,0.333333,1.23457e+06,1234567890\n"
    assert (tmp_path / "t.csv").read_bytes() == expected.encode()
    artefacts.write_json(tmp_path / "t.json", {"ä": [1, None]})
    assert (tmp_path / "t.json").read_text("utf-8") == '{\n  "ä": [\n    1,\n    null\n  ]\n}\n'


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(ArtefactError, match=r"t\.csv: missing\. Run the notebook"):
        artefacts.read_table(tmp_path / "t.csv")
    for content in (b"", b"a,b\n1,2,3\n4,5,6,7\n", b"a\n\xff\n"):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(ArtefactError, match=r"(?s)t\.csv: not a CSV table \(.+\)\. Delete"):
            artefacts.read_table(tmp_path / "t.csv")


def test_code_outside_git_is_said_to_be_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(artefacts, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert artefacts.code_revision() == "unknown (not a git checkout)"


def test_pretrained_weights_are_named_by_all_that_makes_them():
    def key(architecture="resnet50v2", seed=1, **changes):
        return weights.fractal_key(architecture, Fractal(**changes), seed=seed)

    changes = [
        {"architecture": "densenet201"}, {"seed": 2}, {"categories": 41}, {"size": 97},
        {"images_per_category": 37}, {"epochs": 3}, {"batch_size": 33}, {"learning_rate": 2e-3},
    ]  # fmt: skip
    assert set().union(*changes) == {"architecture", "seed", *Fractal.model_fields}
    keys = [key(), *(key(**change) for change in changes)]
    assert len(set(keys)) == len(keys)
    assert key() == key() and len(key().removeprefix("fractal-")) == 12
    assert int(key().removeprefix("fractal-"), 16) >= 0


def test_pretrained_weights_are_shared_by_what_does_not_concern_them(tmp_path):
    one, other = (StudyPaths(tmp_path, study) for study in ("one", "other"))
    recalibrated = Weights(source="fractal")
    plain = recalibrated.model_copy(update={"recalibrate_batch_norm": False})
    file = weights.weights_file("resnet50v2", plain, one, seed=1)
    assert file == weights.weights_file("resnet50v2", recalibrated, other, seed=1)
    assert file.parent == tmp_path / "weights" and file.name.endswith(".weights.h5")
    assert weights.builder_weights("resnet50v2", plain, one, seed=1) == str(file)


def test_other_sources_of_weights(tmp_path):
    paths = StudyPaths(tmp_path, "one")
    for source, expected in (("imagenet", "imagenet"), ("none", None)):
        params = Weights(source=source)
        assert weights.weights_file("resnet50v2", params, paths, seed=1) is None
        assert weights.builder_weights("resnet50v2", params, paths, seed=1) == expected
    params = Weights(source="file", files={"resnet50v2": "own/r.h5", "densenet201": "/d.h5"})
    assert weights.weights_file("resnet50v2", params, paths, seed=1) == ROOT / "own/r.h5"
    assert weights.builder_weights("densenet201", params, paths, seed=1) == "/d.h5"


def test_companions_are_checked_wherever_they_stand(tmp_path):
    main, companion = tmp_path / "tables/drift.csv", tmp_path / "figures/drift.png"
    for path in (main, companion):
        path.parent.mkdir()
        path.write_text("content")
    artefacts.begin(main, parameters={}).complete(companion)
    assert set(artefacts.read_manifest(main)["files"]) == {"drift.csv", "../figures/drift.png"}
    assert artefacts.require(main)
    companion.write_text("more content")
    with pytest.raises(ArtefactError, match=r"drift\.png: changed .* \(12 bytes, .* has 7\)"):
        artefacts.require(main)
    companion.unlink()
    with pytest.raises(ArtefactError, match=r"drift\.png: missing although the manifest of drift"):
        artefacts.require(main)
