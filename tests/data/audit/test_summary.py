"""Known answers for the summary of a collection."""

import json

import pandas as pd
import pytest
from material import CLASSES, FRACTIONS

from lib.data import cache
from lib.data.audit.measures import NUMBERS, measure
from lib.data.audit.summary import load, summarise
from lib.data.index import read_index
from lib.data.splits import assign_splits
from lib.study.artefacts import write_json
from lib.study.errors import ArtefactError

PROBE = {"balanced_accuracy": 0.55, "sd": 0.1, "chance": 0.5, "folds": 5, "side": 32}


def summarised(manifest, rejected, probe=PROBE, **found):
    """The summary of films that are alike in all that is measured, unless something was found."""
    alike = pd.DataFrame(1.0, manifest.index, list(NUMBERS))
    pairs = pd.DataFrame(0, [], ["first", "second", "bits"], dtype=int).assign(identical=True)
    return summarise(
        manifest, rejected, probe, **{"measures": alike, "probes": {}, "pairs": pairs} | found
    )


def test_summary_counts_duplicates_and_findings():
    manifest = pd.DataFrame(
        {
            "file": ["1", "2", "3", "4", "5", "6"],
            "label": ["n", "n", "n", "t", "t", "t"],
            "split": ["train", "test", "train", "train", "train", "test"],
            "patient_id": ["p", "q", "p", "4", "5", "6"],
            "patient_known": [True, True, True, False, False, False],
            "sha256": ["x", "x", "y", "y", "z", "w"],
            "width": [100, 100, 100, 150, 150, 300],
            "height": [100, 100, 100, 100, 100, 100],
        }
    )
    rejected = pd.DataFrame(
        {
            "file": ["7", "8"],
            "label": ["n", "n"],
            "reason": ["truncated", "not a PNG or JPEG file (found GIF)"],
        }
    )
    audit = summarised(manifest, rejected, PROBE | {"balanced_accuracy": 0.9})
    assert json.loads(json.dumps(audit)) == audit
    assert audit["images"] == {"n": {"test": 1, "train": 2}, "t": {"test": 1, "train": 2}}
    assert audit["patients"] == {"n": 2, "t": 3}
    assert audit["patients_unknown"] == {"n": 0, "t": 3}
    assert audit["rejected"] == {"truncated": 1, "not a PNG or JPEG file": 1}
    assert audit["duplicates"] == {
        "copies": 2,
        "across_splits": 1,
        "across_classes": 1,
        "pairs": [["1", "2"], ["3", "4"]],
    }
    assert audit["aspect_ratio"] == {"n": 1.0, "t": 1.5}
    assert [f["severity"] for f in audit["findings"]] == ["warning"] * 7
    texts = [f["text"] for f in audit["findings"]]
    for text, start in zip(
        texts,
        [
            "A linear model on thumbnails of 32 pixels reaches a balanced accuracy of 0.90 where",
            "The median ratio of width to height differs (1.00 in n, 1.50 in t)",
            "1 exact duplicates across splits.",
            "1 exact duplicates across classes.",
            "No patient ids for class t (3 of 3 images)",
            "2 of 5 files of n rejected.",
            "The width in pixels differs by class (median 100 in n, 150 in t",
        ],
        strict=True,
    ):
        assert text.startswith(start)


def test_summary_of_a_clean_collection_has_no_warning(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    manifest, rejected = cache.build(
        index, collection, sizes=[32], aspect="crop", folder=tmp_path / "cache"
    )
    manifest = assign_splits(manifest, fractions=FRACTIONS, seed=0).assign(patient_known=True)
    audit = summarised(manifest, rejected)
    assert [f["severity"] for f in audit["findings"]] == ["note"]
    assert audit["rejected"] == {} and audit["duplicates"]["copies"] == 0


def test_findings_come_worst_first_and_name_numbers(collection, tmp_path):
    index = read_index(collection, classes=CLASSES).assign(site=["a"] * 6 + ["b"] * 6)
    manifest, rejected = cache.build(
        index, collection, sizes=[32], aspect="crop", folder=tmp_path / "cache", measure=measure
    )
    manifest = assign_splits(manifest, fractions=FRACTIONS, seed=0).assign(patient_known=True)
    manifest["border_mean"] = [10.0 + n for n in range(6)] + [30.0 + n for n in range(6)]
    crossing = manifest.drop_duplicates("split").index[:2]
    pairs = pd.DataFrame([(*crossing, 4, False)], columns=["first", "second", "bits", "identical"])
    probe = PROBE | {"sd": 0.02}
    probes = {
        "chance": probe | {"balanced_accuracy": 0.8, "sd": 0.3, "description": "luck"},
        "border": probe | {"balanced_accuracy": 0.9, "description": "the outermost pixels"},
        "metadata": probe | {"balanced_accuracy": 0.65, "description": "the file"},
    }
    audit = summarised(manifest, rejected, measures=manifest, probes=probes, pairs=pairs)
    assert json.loads(json.dumps(audit)) == audit
    severities = [finding["severity"] for finding in audit["findings"]]
    assert severities == sorted(severities, key=["serious", "warning", "note"].index)
    texts = {finding["text"]: finding["severity"] for finding in audit["findings"]}
    for start, severity in {
        "Class and site go together (Cramér's V 1.00, 2 sources); all films of covid19, normal are "
        "from one source each; 1 pairs of classes share no source, e.g. covid19 and n": "serious",
        "From the outermost pixels alone, a linear model reaches a balanced accuracy of 0.90 where "
        "chance is 0.50.": "serious",
        "From luck alone, a linear model reaches a balanced accuracy of 0.80": "note",
        "From the file alone, a linear model reaches a balanced accuracy of 0.65": "warning",
        "1 pairs of near-duplicates across splits": "serious",
        "The brightness of the border differs by class (median 12.5 in normal, 32.5 in covid19; "
        "epsilon squared 0.76).": "warning",
    }.items():
        assert [texts[text] for text in texts if text.startswith(start)] == [severity], start
    first, second = manifest["file"][list(crossing)]
    assert audit["near_duplicates"] == {
        "pairs": 1, "across_splits": 1, "across_classes": 0, "list": [[first, second, 4]],
    }  # fmt: skip


def test_remarks_on_films_are_counted(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    manifest, rejected = cache.build(
        index, collection, sizes=[32], aspect="crop", folder=tmp_path / "cache"
    )
    manifest = assign_splits(manifest, fractions=FRACTIONS, seed=0)
    manifest["remarks"] = ["burned-in annotation; filed as OT", "filed as OT", *[""] * 10]
    findings = summarised(manifest, rejected)["findings"]
    texts = {finding["text"]: finding["severity"] for finding in findings}
    assert texts["2 of 12 films: filed as OT."] == "warning"
    burned = "1 of 12 films: burned-in annotation. Names may be legible"
    assert findings[0]["severity"] == "serious" and findings[0]["text"].startswith(burned)


def test_an_audit_is_read_again_or_refused_in_words(tmp_path):
    path = tmp_path / "audit.json"
    with pytest.raises(ArtefactError, match=r"not an audit of the data .*Run 01_prepare_data"):
        load(path)
    for wrong, reason in (([], "without findings, probe"), ({"probe": {}}, "without findings")):
        write_json(path, wrong)
        with pytest.raises(ArtefactError, match=reason):
            load(path)
    path.write_text("{")
    with pytest.raises(ArtefactError, match="not an audit"):
        load(path)
    whole = {"findings": [{"severity": "note", "text": "x"}], "probe": {"side": 32}, "images": {}}
    write_json(path, whole)
    assert load(path) == whole
