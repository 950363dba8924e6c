"""The trials find what was planted and lose what was taken away; two studies side by side."""

import numpy as np
import pandas as pd
import pytest
from material import CLASSES, encoded, film

from lib.data.audit import trials as remedy_trials
from lib.data.audit.trials import OWN, UNTREATED, probe_trials, trials_of
from lib.data.index import read_index
from lib.drift.summaries import drift_side_by_side
from lib.figures import data_audit
from lib.published import publish
from lib.study.artefacts import begin, write_table
from lib.study.data_params import Data, Remedies
from lib.study.errors import ArtefactError
from lib.study.paths import StudyPaths


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Forty films of noise whose class is written into a border of 2 of 40 pixels."""
    root = tmp_path_factory.mktemp("films")
    for number in range(40):
        image = film(number, height=40, width=40)
        label = CLASSES[number % 2]
        image[:2] = image[-2:] = 255 * (number % 2)
        (root / label).mkdir(exist_ok=True)
        (root / label / f"{number}.png").write_bytes(encoded(image))
    index = read_index(root, classes=CLASSES)
    trials = {
        UNTREATED: Data(),
        "cut": Data(remedies=Remedies(border_crop=0.1)),
        "frame": Data(remedies=Remedies(region="frame_only", frame_width=0.1)),
    }
    seen = []
    result = probe_trials(
        index, root, trials, size=40, folder=root, seed=0,
        report=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in root.iterdir()) == sorted(CLASSES)
    return result


def test_a_planted_border_is_found_and_taken_away(table):
    score = table.set_index(["trial", "probe"])["balanced_accuracy"]
    assert score[UNTREATED, "border"] == 1 and score["frame", "border"] == 1
    assert abs(score["cut", "border"] - 0.5) < 0.3
    assert abs(score["cut", "trivial_without_shape"] - 0.5) < 0.3
    assert score["frame", "trivial_without_shape"] == 1
    change = table.set_index(["trial", "probe"])["change"]
    assert (change[UNTREATED] == 0).all()
    assert change["cut", "border"] == score["cut", "border"] - 1
    assert (table["films"] == 40).all() and (table["chance"] == 0.5).all()
    assert table.drop_duplicates("trial")["kind"].tolist() == ["remedy", "remedy", "control"]


def test_trials_start_from_films_as_they_are():
    assert list(trials_of(Data(), masks=True)) == [UNTREATED, *remedy_trials.TRIALS]
    data = Data(aspect="squash", views=("PA",), remedies=Remedies(border_crop=0.2))
    trials = trials_of(data, masks=False)
    assert "lungs only" not in trials and "frame only" in trials
    assert trials[UNTREATED] == data.model_copy(update={"remedies": Remedies()})
    assert trials[OWN] == data and list(trials)[-1] == OWN
    assert trials["central square"].aspect == "crop"
    changed = [UNTREATED, "central square", "distorted to a square"]
    assert not any(trials[name].remedies.active for name in changed)
    assert all(d.remedies.active for name, d in trials.items() if name not in changed)
    assert all(d.views == ("PA",) for d in trials.values())


def test_the_figure_shows_every_trial_and_the_controls_below(table, printed_style):
    figure = data_audit.trial_dots(table)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [UNTREATED, "cut", "frame"]
    border = next(line for line in axes.lines if line.get_label() == "the outermost pixels")
    assert border.get_xdata().tolist() == table.query("probe == 'border'")[
        "balanced_accuracy"
    ].tolist()  # fmt: skip
    assert [0.5, 0.5] in [list(line.get_xdata()) for line in axes.lines]  # chance
    assert [1.5, 1.5] in [list(line.get_ydata()) for line in axes.lines]  # before the controls
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "exposure, border and sharpness", "the outermost pixels", "thumbnails of 16 pixels",
        "thumbnails of 32 pixels",
    ]  # fmt: skip


def test_published_lines_by_hand():
    rows = [["as is", 9, "border", 0.7, 0.0], ["cut", 8, "border", 0.5, -0.2]]
    table = pd.DataFrame(rows, columns=["trial", "films", "probe", "balanced_accuracy", "change"])
    lines = publish.markdown(publish.remedy_lines(table)).splitlines()
    assert lines[0] == "| trial | films | border |"
    assert lines[2:] == ["| as is | 9 | 0.70 |", "| cut | 8 | 0.50 (-0.20) |"]


def study(folder, mean, blank):
    paths = StudyPaths(folder, "x")
    cell = ["a", "m", "r", "finetune", "iou_top20"]
    rows = [
        [*cell, mean, 10 - blank, blank],
        ["a", "m", "r", "ceiling", "iou_top20", np.nan, 0, 10],
        ["a", "m", "r", "finetune", "emd", 0.1, 10, 0],
        ["a", "m", "r", "transfer_seeds", "iou_top20", 0.9, 10, 0],
    ]
    columns = ["architecture", "method", "role", "pairing", "metric", "mean", "n", "blank"]
    record = begin(paths.tables / "drift.csv", parameters={})
    write_table(record.path, pd.DataFrame(rows, columns=columns))
    record.complete()
    return paths


def test_drift_of_two_studies_side_by_side(tmp_path):
    before, after = study(tmp_path / "before", 0.25, 2), study(tmp_path / "after", 0.75, 0)
    found = drift_side_by_side(before, after).set_index("pairing")
    assert list(found.index) == ["finetune", "ceiling"]
    assert found.loc["finetune"].to_dict() == {
        "architecture": "a", "role": "r", "method": "m", "before": 0.25, "after": 0.75,
        "change": 0.5, "n_before": 8, "n_after": 10, "blank_before": 2, "blank_after": 0,
    }  # fmt: skip
    assert np.isnan(found.loc["ceiling", "change"])
    empty = drift_side_by_side(None, None)
    assert empty.empty and list(empty) == list(drift_side_by_side(before, after))
    with pytest.raises(ArtefactError, match="not complete"):
        drift_side_by_side(StudyPaths(tmp_path / "nowhere", "x"), after)
