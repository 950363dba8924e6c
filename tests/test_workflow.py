"""The smoke study through the workflow, with all three real backbones, and what a rerun does."""

import itertools
import os
import re
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
import pytest
from workflow_material import make, planned

from lib.attribution.maps import MapSet
from lib.attribution.perturbed import CHANGES
from lib.drift.metrics import METRICS, QUICK
from lib.study import load
from lib.study.artefacts import read_manifest, read_table, require
from lib.study.names import OF_TUNED
from lib.study.paths import StudyPaths

pytestmark = pytest.mark.study


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
    folder = paths.root / "maps"
    for path in folder.rglob("*.npz"):
        maps = MapSet.load(path)
        if ".perturbed" in path.suffixes:  # each change of a film as often as every other one
            assert set(Counter(maps.image_id.tolist()).values()) == {len(CHANGES)}
            assert set(maps.image_id) <= set(test) and path.name[:8] in ("transfer", "finetune")
        else:
            assert maps.image_id.tolist() == test
        inception = path.relative_to(folder).parts[0] == "inceptionv3"
        finer = (11, 11) if inception else (10, 10)
        for (role, _), stack in maps.maps.items():
            assert stack.shape[1:] == (finer if role == "stage4" else (5, 5))
        assert len(maps.maps) == 12
    followed = {path.parents[1].name: path.parent.name for path in folder.rglob("epoch-001.npz")}
    assert set(followed) == {"densenet201", "resnet50v2", "inceptionv3"}
    assert set(followed.values()) == {"finetune-s0.epochs"}


def test_placebo_keeps_the_backbone_and_fine_tuning_does_not(paths):
    import zipfile

    import h5py  # a .keras file is a zip with an HDF5 file inside; read without Keras

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


def test_counts_are_exact(paths):
    """Phantoms and their split come from whole numbers: the same on every machine."""
    counts = read_table(paths.manifest).groupby(["label", "split"]).size().to_dict()
    assert counts == {
        ("bacterial_pneumonia", "test"): 6, ("bacterial_pneumonia", "train"): 17,
        ("bacterial_pneumonia", "validation"): 5, ("normal", "test"): 8, ("normal", "train"): 18,
        ("normal", "validation"): 5, ("tuberculosis", "test"): 6, ("tuberculosis", "train"): 14,
        ("tuberculosis", "validation"): 3,
    }  # fmt: skip


# What a network has learnt differs between processors, and at chance its areas under the curve and
# overlaps by as much as they can. So trained networks are asked for properties, each with a margin
# several times as wide as what was measured needs (in brackets); numbers are compared where they
# travel, in test_stored_study.py.


def test_the_head_learns_and_nothing_diverges(paths):
    history = read_table(paths.tables / "history.csv")
    assert np.isfinite(history[["train_loss", "loss"]]).all(axis=None)
    assert history.groupby(["architecture", "checkpoint"])["kept"].sum().eq(1).all()
    transfer = history[history["checkpoint"] == "transfer-s0"].groupby("architecture")
    first, kept = transfer.first(), history[history["kept"]].groupby("architecture").first()
    assert (transfer["train_loss"].min() < 0.6 * first["train_loss"]).all()  # (0.06 to 0.27)
    assert (kept["loss"] < first["loss"] - 0.1).all()  # (0.4 to 1.0 lower)
    for architecture in load.load("smoke").architectures:
        for checkpoint in load.load("smoke").checkpoints:
            predictions = read_table(paths.predictions(architecture, checkpoint))
            logits = predictions.filter(like="logit_")
            assert logits.shape == (13 + 20, 3) and np.isfinite(logits).all(axis=None)
            assert (logits.nunique() > 10).all(), "the same answer for every film"


def test_overlap_lies_between_its_controls(paths):
    pairs = read_table(paths.tables / "pairs.csv")
    scored = pairs[pairs["blank"].fillna("") == ""]
    again = scored[scored["pairing"] == "explainer"]
    for metric, same in {
        "iou_top20": 1,
        "iou_half": 1,
        "soft_iou": 1,
        "centroid_displacement": 0,
    }.items():
        assert (again[metric] == same).all(), metric  # the floor is exact
    pooled = scored[scored["role"] == "post_activation"]
    keys = [pooled[key] for key in ("pairing", "method", "architecture")]
    mean = pooled["iou_top20"].groupby(keys).mean()
    for method in ("layercam", "gradcam_plus_plus"):
        assert (mean["placebo", method] > 0.9).all()  # (1.00): the backbone is the same
        assert (mean["finetune", method] < 0.95).all()  # (0.51 to 0.77)
        assert (mean["ceiling", method] < mean["placebo", method] - 0.3).all()  # (0.67 to 0.81)
        assert (mean["randomised", method] < mean["placebo", method] - 0.3).all()  # (0.69 to 0.94)
    for pairing in ("finetune", "placebo", "ceiling", "randomised"):
        gap = mean[pairing, "layercam"] - mean[pairing, "gradcam_plus_plus"]
        assert (gap.abs() < 0.02).all()  # (0): one map up to a factor


def test_tables_have_every_cell(paths):
    params = load.load("smoke")
    grid = [params.architectures, params.attribution.roles, params.attribution.methods]
    cells = list(itertools.product(*grid))
    pairings = ("finetune", "placebo", "perturbed", "head_only", "features_only", "explainer",
                "randomised", "ceiling")  # fmt: skip
    expected = {(*cell, name) for cell in cells for name in pairings}
    keys = ["architecture", "role", "method", "pairing"]
    pairs, drift = (read_table(paths.tables / f"{name}.csv") for name in ("pairs", "drift"))
    assert pairs.groupby(keys).size().to_dict() == dict.fromkeys(expected, 20)
    shown = {cell: len(QUICK if cell[-1] in OF_TUNED else METRICS) for cell in expected}
    assert drift.groupby(keys).size().to_dict() == shown
    blank = pairs["blank"].fillna("") != ""
    assert pairs.loc[blank, list(QUICK)].isna().all(axis=None)
    # A constant map has no correlation, but it is blank; everything else is a number.
    assert np.isfinite(pairs.loc[~blank, list(QUICK)]).all(axis=None)
    confusion = read_table(paths.tables / "confusion.csv")
    assert confusion.groupby(["architecture", "checkpoint"])["count"].sum().eq(20).all()
    performance = read_table(paths.tables / "performance.csv")
    assert performance["n"].tolist() == [20, 13] * 9
    areas = performance.filter(regex="auc|accuracy")
    assert areas.ge(0).all(axis=None) and areas.le(1).all(axis=None)
    assert read_table(paths.tables / "support.csv")["films"].sum() == 20


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
