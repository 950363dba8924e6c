"""What the workflow does beside the smoke study: small studies, odd names, wrong parameters."""

import os
import subprocess
import sys

import pytest
import workflow_material
from workflow_material import make, planned

from lib.study.artefacts import read_table, require
from lib.study.paths import StudyPaths

pytestmark = pytest.mark.study


def test_remedies_need_the_films_and_no_training(tmp_path):
    assert planned(tmp_path, "TARGETS=remedies") == {"prepare": 1, "remedies": 1, "total": 2}
    both = planned(tmp_path, "TARGETS=remedies", f"BEFORE={tmp_path}")  # with drift to compare
    assert both["drift"] == 1 and both["finetune"] == 6


def test_one_backbone_one_method_and_one_layer_run_to_the_report(tmp_path):
    """A size of its own besides, which would be no grid of the backbones that are left out."""
    words = (
        "SET=architectures=[resnet50v2] input_size.resnet50v2=96 attribution.methods=[layercam] "
        "attribution.roles=[auto_conv] weights.source=fractal transfer.epochs=2"
    )
    assert "Report" in make("reproduce", tmp_path, words).stdout
    paths = StudyPaths(tmp_path, "smoke")
    require(paths.report)
    drift = read_table(paths.tables / "drift.csv")
    cell = drift[["architecture", "role", "method"]].drop_duplicates()
    assert cell.to_numpy().tolist() == [["resnet50v2", "auto_conv", "layercam"]]
    assert planned(tmp_path, words) == {}


def test_names_with_blanks_dollars_and_quotes_reach_the_programs_as_they_are(tmp_path):
    """A checkout, a folder of results and one of films, as people name them."""
    checkout = workflow_material.checkout(tmp_path / "my studies, 50 $HOME" / "it's here")
    results = tmp_path / 'my "own" results $x'
    manifest = StudyPaths(results, "smoke").manifest
    said = ["STUDY=smoke", f"RESULTS={results}"]
    command = ["make", "reproduce", *said, "TARGETS=prepare", f"PY={sys.executable}", "STAMP=",
               "GPU=0", "SET=data.phantom.patients_per_class=8"]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    assert manifest.exists(), done.stderr[-3000:]
    films = tmp_path / "films $y 'of' \"us\""
    done = make("reproduce", tmp_path, f"DATA={films}", check=False)
    assert f"{films}: found nothing" in done.stderr


def test_wrong_parameters_stop_before_anything_runs(tmp_path):
    done = make("reproduce", tmp_path, "SET=finetune.lerning_rate=1", check=False)
    assert done.returncode != 0 and "did you mean 'learning_rate'" in done.stderr
    assert not list(tmp_path.rglob("*.csv"))
