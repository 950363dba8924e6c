"""The smoke study through the workflow, with all three real backbones, and what a rerun does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from expected.make import KEYS, overlap

from lib.attribution.maps import MapSet
from lib.study import load
from lib.study.artefacts import read_manifest, read_table, require
from lib.study.paths import ROOT, StudyPaths

pytestmark = pytest.mark.study
EXPECTED = Path(__file__).parent / "expected"


def make(verb, results, *words, check=True):
    """Run a verb of the Makefile with this Python and results folder of its own."""
    command = ["make", verb, "STUDY=smoke", f"RESULTS={results}", f"PY={sys.executable}", "STAMP=",
               "GPU=0", *words]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode:
        logs = "\n".join(p.read_text()[-3000:] for p in Path(results).rglob("*.log"))
        raise AssertionError(f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}\n{logs[-9000:]}")
    return done


def planned(results, *words) -> dict[str, int]:
    """Jobs by rule that a dry run announces."""
    text = make("plan", results, *words).stdout
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.M)}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Folder and closing words of a finished smoke study.

    SMOKE_RESULTS names a results folder that may hold one already, to spare a developer minutes.
    """
    results = Path(os.environ.get("SMOKE_RESULTS") or tmp_path_factory.mktemp("results"))
    return results, make("reproduce", results).stdout


@pytest.fixture(scope="module")
def paths(smoke):
    return StudyPaths(smoke[0], "smoke")


def test_it_ends_with_a_table_and_where_to_look(smoke):
    assert "Macro AUC on test films" in smoke[1]
    assert "densenet201" in smoke[1] and "inceptionv3" in smoke[1]
    assert re.search(r"^Report +.*smoke/report/index.html$", smoke[1], re.M)
    for name in ("tables", "figures", "notebooks"):
        assert re.search(rf"^{name.capitalize()} .*smoke/{name}$", smoke[1], re.M)


def test_every_artefact_is_complete_and_unchanged(paths):
    params = load.load("smoke")
    for architecture in params.architectures:
        for name in params.map_sets:
            require(paths.maps(architecture, name))
        for checkpoint in params.checkpoints:
            require(paths.checkpoint(architecture, checkpoint))
            manifest = read_manifest(paths.checkpoint(architecture, checkpoint))
            assert manifest["status"] == "complete" and manifest["seconds"] > 0
            assert manifest["inputs"]["../../data/manifest.csv"] == require(paths.manifest)
    assert not list(paths.root.rglob("*.failed.ipynb"))
    assert not list(paths.root.rglob(".partial*")) and not list(paths.root.rglob("*.state"))


def test_executed_notebooks_have_no_unrun_cell(paths):
    notebooks = sorted((paths.root / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == 1 + 3 + 6 + 3 + 1 + 1 + 1
    for path in notebooks:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert all(cell.execution_count for cell in cells)


def test_maps_have_one_grid_and_the_test_films(paths):
    manifest = read_table(paths.manifest)
    test = manifest.query("split == 'test'")["image_id"].tolist()
    for path in (paths.root / "maps").rglob("*.npz"):
        maps = MapSet.load(path)
        assert maps.image_id.tolist() == test
        finer = (11, 11) if path.parent.name == "inceptionv3" else (10, 10)
        for (role, _), stack in maps.maps.items():
            assert stack.shape[1:] == (finer if role == "stage4" else (5, 5))
        assert len(maps.maps) == 12


def test_placebo_keeps_the_backbone_and_fine_tuning_does_not(paths):
    import zipfile

    import h5py  # a .keras file is a zip with an HDF5 file inside; read without Keras
    import numpy as np

    def first_kernel(checkpoint):
        with (
            zipfile.ZipFile(paths.checkpoint("resnet50v2", checkpoint)) as archive,
            archive.open("model.weights.h5") as file,
            h5py.File(file) as weights,
        ):
            return np.array(weights["layers/conv2d/vars/0"])

    start = first_kernel("transfer-s0")
    assert (start == first_kernel("placebo-s0")).all()
    assert (start != first_kernel("finetune-s0")).any()


def test_explaining_twice_gives_the_same_maps_and_random_weights_others(paths):
    for architecture in load.load("smoke").architectures:
        sets = {
            name: MapSet.load(paths.maps(architecture, f"{name}-s0"))
            for name in ("transfer", "repeat", "randomised")
        }
        for key, maps in sets["transfer"].maps.items():
            assert (maps == sets["repeat"].maps[key]).all()
            assert not (maps == sets["randomised"].maps[key]).all()


def test_methods_agree_at_the_pooled_map_and_the_placebo_hardly_drifts(paths):
    table = read_table(paths.tables / "strata.csv").query("metric == 'iou_top20'")
    pooled = table.query("role == 'post_activation' and blank == 0 and n > 0")
    wide = pooled.pivot_table(
        index=["architecture", "pairing", "stratum"], columns="method", values="mean"
    )
    assert len(wide) and (wide["layercam"] - wide["gradcam_plus_plus"]).abs().max() < 0.02


def test_tables_agree_with_the_expected_ones(paths):
    """Counts are exact; figures of trained models agree within what processors may differ.

    Stated tolerances: accuracies and areas 0.15 (some twenty test films), mean overlap
    0.15. The data table is bit-exact.
    """
    counts = read_table(paths.manifest).groupby(["label", "split"]).size().rename("n").reset_index()
    expected = read_table(EXPECTED / "counts.csv")
    pd.testing.assert_frame_equal(counts, expected)
    keys = ["architecture", "checkpoint", "split"]
    found = read_table(paths.tables / "performance.csv")[[*keys, "macro_auc"]]
    assert_near(found, read_table(EXPECTED / "performance.csv"), keys, 0.15)
    found = overlap(read_table(paths.tables / "strata.csv"))
    assert_near(found, read_table(EXPECTED / "overlap.csv"), KEYS, 0.15)


def assert_near(found, expected, keys, tolerance):
    """Same rows, and the one column of numbers within an absolute tolerance."""
    (column,) = set(found) - set(keys)
    both = found.merge(expected, on=keys, suffixes=("", "_expected"), how="outer", indicator=True)
    assert (both["_merge"] == "both").all(), both[both["_merge"] != "both"]
    gap = (both[column] - both[f"{column}_expected"]).abs()
    assert not (gap > tolerance).any(), both[gap > tolerance]
    assert (both[column].isna() == both[f"{column}_expected"].isna()).mean() > 0.9


def test_a_second_run_finds_nothing_to_do(smoke):
    assert planned(smoke[0]) == {}


def test_a_changed_parameter_reruns_what_depends_on_it(smoke):
    assert planned(smoke[0], "SET=attribution.batch_size=8") == {
        "all": 1, "attribute": 3, "drift": 1, "hypotheses": 1, "report": 1,
        "total": 7,
    }  # fmt: skip
    assert planned(smoke[0], "SET=finetune.learning_rate=0.0003") == {
        "all": 1, "finetune": 6, "attribute": 3, "drift": 1, "hypotheses": 1, "report": 1,
        "total": 13,
    }  # fmt: skip
    # No pre-training: its weights are shared by all studies, whatever else they want of them.
    assert planned(smoke[0], "SET=weights.recalibrate_batch_norm=false runtime.tf32=true") == {
        "all": 1, "transfer": 3, "finetune": 6, "attribute": 3, "drift": 1, "hypotheses": 1,
        "report": 1, "total": 16,
    }  # fmt: skip
    assert planned(smoke[0], "SET=seeds=[0,1]") == {
        "all": 1, "finetune": 6, "attribute": 3, "drift": 1, "hypotheses": 1, "report": 1,
        "total": 13,
    }  # fmt: skip


def test_a_deleted_intermediate_is_made_again(smoke, paths):
    path = paths.maps("resnet50v2", "placebo-s0")
    kept = path.read_bytes()
    path.unlink()
    try:
        assert planned(smoke[0])["attribute"] == 1
    finally:
        path.write_bytes(kept)


def test_a_failed_cell_says_why_and_does_not_stop_the_others(smoke, paths):
    targets = [paths.maps(name, "transfer-s0") for name in ("resnet50v2", "inceptionv3")]
    broken = paths.checkpoint("resnet50v2", "placebo-s0")  # nothing but attribution reads it
    kept = broken.read_bytes()
    for target in targets:
        target.unlink()
    broken.write_bytes(kept[:-100])
    try:
        done = make("reproduce", smoke[0], f"TARGETS={' '.join(map(str, targets))}", check=False)
    finally:
        broken.write_bytes(kept)
    assert done.returncode != 0
    assert "error: 04_attribute-resnet50v2: ArtefactError" in done.stderr
    assert "changed since it was completed" in done.stderr
    assert (paths.root / "notebooks/04_attribute-resnet50v2.failed.ipynb").exists()
    assert not targets[0].exists() and targets[1].exists()


def test_remedies_need_the_films_and_no_training(tmp_path):
    assert planned(tmp_path, "TARGETS=remedies") == {"prepare": 1, "remedies": 1, "total": 2}
    both = planned(tmp_path, "TARGETS=remedies", f"BEFORE={tmp_path}")  # with drift to compare
    assert both["drift"] == 1 and both["finetune"] == 6


def test_one_backbone_one_method_and_one_layer_run_to_the_report(tmp_path):
    """A size of its own besides, which would be no grid of the backbones that are left out."""
    words = (
        "SET=architectures=[resnet50v2] input_size.resnet50v2=96 attribution.methods=[layercam] "
        "attribution.roles=[auto_conv] weights.source=none transfer.epochs=2"
    )
    assert "Report" in make("reproduce", tmp_path, words).stdout
    paths = StudyPaths(tmp_path, "smoke")
    require(paths.report)
    drift = read_table(paths.tables / "drift.csv")
    cell = drift[["architecture", "role", "method"]].drop_duplicates()
    assert cell.to_numpy().tolist() == [["resnet50v2", "auto_conv", "layercam"]]
    assert planned(tmp_path, words) == {}


def test_wrong_parameters_stop_before_anything_runs(tmp_path):
    done = make("reproduce", tmp_path, "SET=finetune.lerning_rate=1", check=False)
    assert done.returncode != 0 and "did you mean 'learning_rate'" in done.stderr
    assert not list(tmp_path.rglob("*.csv"))
