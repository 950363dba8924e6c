"""A method no more faithful than random is found out, and marked where its drift is shown."""

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible

from lib.evidence import faithfulness
from lib.figures import controls, drift
from lib.report.tables import study_tables
from lib.study.artefacts import write_table
from lib.study.paths import StudyPaths
from lib.study.schema import check

FILMS = [f"f{n}" for n in range(30)]
PATIENTS = pd.Series([f"p{n // 2}" for n in range(30)], FILMS)


def curves(gains, seed=0):
    """Films with these mean gains over random maps, by (checkpoint, method); None is blank."""
    random, parts = np.random.default_rng(seed), []
    for (checkpoint, method), gain in gains.items():
        noise = 0.05 * random.normal(size=len(FILMS))
        insertion = np.full(len(FILMS), np.nan) if gain is None else 0.5 + gain + noise
        parts.append(
            pd.DataFrame(
                {
                    "architecture": "resnet50v2", "checkpoint": checkpoint, "role": "auto_conv",
                    "method": method, "image_id": FILMS, "deletion": 0.4, "insertion": insertion,
                    "deletion_random": 0.45, "insertion_random": 0.55,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


BOTH = ("transfer-s0", "finetune-s0")


def test_the_excess_is_the_gain_over_random_maps_with_its_interval():
    table = faithfulness.table_of(
        curves({(BOTH[0], "layercam"): 0.2, (BOTH[0], "gradcam"): None}), PATIENTS
    )
    check("faithfulness", table)
    good, blank = (row for _, row in table.iterrows())
    told = curves({(BOTH[0], "layercam"): 0.2})
    gain = told["insertion"] - told["deletion"] - 0.1
    assert good["excess"] == pytest.approx(gain.mean()) and good["finding"] == faithfulness.MORE
    means = gain.groupby(PATIENTS.to_numpy()).mean()  # patients have two films each
    half = 2.1448 * means.std() / np.sqrt(15)
    assert good["high"] - good["excess"] == pytest.approx(half, rel=1e-4)
    assert (blank["films"], blank["blank"]) == (0, 30)
    assert blank["finding"] == faithfulness.UNKNOWN


def test_a_method_is_marked_if_it_fails_at_either_checkpoint():
    table = faithfulness.table_of(
        curves(
            {
                (BOTH[0], "layercam"): 0.2, (BOTH[1], "layercam"): 0.2,
                (BOTH[0], "gradcam"): 0.2, (BOTH[1], "gradcam"): 0.0,
            }
        ), PATIENTS,
    )  # fmt: skip
    assert faithfulness.unfaithful(table) == {("resnet50v2", "auto_conv", "gradcam")}
    (sentence,) = faithfulness.sentences(table)
    assert sentence == (
        "ResNet50V2: 1 of 2 kinds of maps are not shown to be more faithful than random maps at "
        "both checkpoints (†): Grad-CAM at auto_conv."
    )


def test_random_maps_in_the_place_of_a_method_change_the_sentence():
    good = {(name, "layercam"): 0.2 for name in BOTH}
    told = [
        faithfulness.sentences(faithfulness.table_of(curves(gains), PATIENTS))[0]
        for gains in (good, dict.fromkeys(good, 0.0))
    ]
    assert "0 of 1" in told[0] and "†" not in told[0]
    assert "1 of 1" in told[1] and "(†): LayerCAM at auto_conv." in told[1]


def test_a_study_without_the_question_has_an_empty_table(tmp_path):
    paths = StudyPaths(tmp_path, "any")
    table = faithfulness.of_study(paths, ["resnet50v2"], BOTH, PATIENTS)
    check("faithfulness", table)
    assert table.empty and not faithfulness.unfaithful(table)
    assert faithfulness.sentences(table) == []
    told = curves({(BOTH[1], "layercam"): 0.2}).drop(columns=["architecture", "checkpoint"])
    write_table(paths.faithfulness("resnet50v2", BOTH[1]), told)
    table = faithfulness.of_study(paths, ["resnet50v2"], BOTH, PATIENTS)
    assert table["checkpoint"].tolist() == [BOTH[1]]


def drift_table():
    """Mean drift of two methods, before and after fine-tuning and for the placebo."""
    rows = [
        ["resnet50v2", method, "auto_conv", pairing, "iou_top20", 1, 30, 0.5, 0.1, 0.0, 0]
        for method in ("layercam", "gradcam") for pairing in ("finetune", "placebo", "perturbed")
    ]  # fmt: skip
    columns = ["architecture", "method", "role", "pairing", "metric", "pairs", "n", "mean", "sd",
               "sd_pairs", "blank"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.usefixtures("printed_style")
def test_the_mark_stands_wherever_drift_is_shown_and_goes_when_the_maps_are_good():
    gains = {(name, method): 0.2 for name in BOTH for method in ("layercam", "gradcam")}
    for broken in (False, True):
        if broken:  # maps in a random order
            gains[BOTH[1], "gradcam"] = 0.0
        table = faithfulness.table_of(curves(gains), PATIENTS)
        figure = drift.controls(drift_table(), marked=faithfulness.unfaithful(table))
        assert_legible(figure)
        marks = [[text.get_text() for text in ax.texts] for ax in figure.axes]
        assert marks == [[], [faithfulness.MARK] if broken else []]
        assert ("†" in figure.legends[0].get_title().get_text()) == broken
        shown = study_tables({"drift": drift_table(), "faithfulness": table})
        assert ("mark" in shown["drift"].columns) == broken
        assert [row[-1].text for row in shown["drift"].rows if broken] == ["", "†"] * broken
        assert len(shown["faithfulness"].rows) == 4
    plain = study_tables({"drift": drift_table()})["drift"]
    assert "mark" not in plain.columns and "†" not in plain.caption


@pytest.mark.usefixtures("printed_style")
def test_the_figure_has_both_checkpoints_and_says_what_is_blank():
    gains = {(BOTH[0], "layercam"): 0.2, (BOTH[1], "layercam"): None}
    figure = controls.faithfulness(faithfulness.table_of(curves(gains), PATIENTS))
    assert_legible(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["n = 0"]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["transfer", "fine-tuned"]
