"""Known evidence in words: the numbers are those of the tables; without them there is no word."""

import pandas as pd
import pytest

from lib.report import lesion, words
from lib.report.tables import study_tables

LEVELS = {"finetune": 0.3, "placebo": 0.125, "randomised": 0.0625, "transfer": 9.0}


def tables(changes, *, stages=tuple(LEVELS), roles=("stage4",), n=20):
    """Evidence of two networks; `changes` has the change and its interval for each."""
    names = dict(zip(("densenet201", "resnet50v2"), changes, strict=False))
    scale = {"lesion_mass": 1, "lesion_enrichment": 10, "lesion_hit": 2, "lung_mass": 3}
    same = {"method": "layercam", "n": n}
    levels = [
        {"architecture": name, "role": role, "stage": stage, "measure": measure,
         "mean": LEVELS[stage] * factor, "uniform": 0.05 * factor} | same
        for name in names for role in roles for stage in stages
        for measure, factor in scale.items()
    ]  # fmt: skip
    told = [
        {"architecture": name, "role": role, "pairing": pairing, "measure": measure,
         **dict(zip(("mean", "low", "high"), [v * factor for v in values], strict=True))} | same
        for name, values in names.items() for role in roles
        for pairing in ("finetune", "placebo") for measure, factor in scale.items()
    ]  # fmt: skip
    return {"evidence": pd.DataFrame(levels), "evidence_change": pd.DataFrame(told)}


GAIN, LOSS, OPEN = (0.2, 0.1, 0.3), (-0.1, -0.2, -0.05), (0.1, -0.1, 0.3)


def test_the_sentence_has_the_numbers_of_the_tables():
    (told,) = lesion.sentences(tables([GAIN, LOSS]))
    assert told == (
        "At stage4 fine-tuning takes the share of the LayerCAM map that lies in the lesion from "
        "0.100 to 0.300 (DenseNet201, by 0.200, 0.100 to 0.300) and from 0.400 to 0.300 "
        "(ResNet50V2, by −0.100, −0.200 to −0.050); it is 0.125 with the placebo, 0.062 with "
        "random weights and 0.050 by chance. That is 1.0 to 4.0 times the area of the lesion "
        "before and 3.0 times after, more in 1 of 2 networks (and less in 1); 1.2 with the "
        "placebo, 0.6 with random weights and 0.5 by chance. The strongest place touches the "
        "lesion in 20 to 80\u00a0% of the films before and 60\u00a0% after, more in 1 of 2 "
        "networks (and less in 1); 25\u00a0% with the placebo, 12\u00a0% with random weights and "
        "10\u00a0% by chance."
    )
    assert told in words.answer(tables([GAIN, LOSS]), None)


def test_the_first_sentences_count_the_networks_that_gain_at_both_layers():
    told = lesion.short(tables([GAIN, OPEN], roles=("stage4", "post_activation", "auto_conv")))
    assert told == (
        "The lesions are known: more of the map lies in them after fine-tuning at stage4 in 1 of 2 "
        "networks (10 to 20\u00a0% of the map before, 30\u00a0% after, 12\u00a0% with the placebo, "
        "6\u00a0% with random weights, 5\u00a0% by chance), at the pooled map in 1 of 2 networks; "
        "LayerCAM, 95\u00a0% intervals over patients, for these seeds."
    )
    pooled, finer = lesion.sentences(tables([GAIN], roles=("stage4", "post_activation")))
    assert pooled.startswith("At the pooled map fine-tuning") and finer.startswith("At stage4")
    parameters = {"data": {"source": "phantom", "phantom": {"shortcut": 0}}, "seeds": [0],
                  "weights": {"source": "drawn"}}  # fmt: skip
    first = words.first(tables([GAIN]), None, parameters, None)
    assert first[2].startswith("The lesions are known") and len(first) == 4
    assert len(words.first({}, None, parameters, None)) == 3


def test_controls_that_were_not_run_are_not_named():
    found = tables([GAIN], stages=("transfer", "finetune"))
    (told,) = lesion.sentences(found)
    assert "placebo" not in told and "random" not in told and "it is 0.050 by chance." in told
    assert "(10\u00a0% of the map before, 30\u00a0% after, 5\u00a0% by chance)" in lesion.short(
        found
    )


@pytest.mark.parametrize(
    "found",
    [
        {}, {"evidence": tables([GAIN])["evidence"]},
        {name: table[:0] for name, table in tables([GAIN]).items()},
        tables([GAIN], n=0), tables([GAIN], roles=("auto_conv",)),
        tables([GAIN], stages=("transfer",)),
        {name: table.assign(method="gradcam") for name, table in tables([GAIN]).items()},
    ],
)  # fmt: skip
def test_nothing_is_said_of_lesions_that_are_not_known(found):
    assert lesion.known_evidence(found).empty
    assert lesion.sentences(found) == [] and lesion.short(found) == ""
    assert "known_evidence" not in study_tables(found)


def test_the_table_has_every_measure_with_its_controls_and_interval():
    shown = study_tables(tables([GAIN, LOSS]))["known_evidence"]
    assert shown.columns == (
        "architecture", "role", "measure", "before", "after", "placebo", "random_weights",
        "by_chance", "change", "low", "high",
    )  # fmt: skip
    assert [cell.text for cell in shown.rows[1][2:]] == [
        "times the area (1 = chance)", "1.000", "3.000", "1.250", "0.625", "0.500", "2.000",
        "1.000", "3.000",
    ]  # fmt: skip
    assert len(shown.rows) == 2 * 3


def test_a_shortcut_study_says_whether_the_marker_is_used_and_what_its_removal_brings():
    stages = ("transfer", "finetune", "corrected")
    used = pd.DataFrame(
        [[a, stage, marker, sign * value]
         for stage, values in zip(stages, ((0.2, 0.5), (0.4, 0.6), (0.01, 0.03)), strict=True)
         for a, value in zip(("densenet201", "resnet50v2"), values, strict=True)
         for marker, sign in (("put on", 1), ("taken away", -1))],
        columns=["architecture", "stage", "marker", "difference"],
    )  # fmt: skip
    brought = pd.DataFrame(
        {"architecture": "densenet201", "role": ["stage4", "stage4", "auto_conv"],
         "method": ["layercam", "gradcam", "gradcam"], "measure": "lesion_mass",
         "removed": [0.05, 0.18, 0.99], "kept": [0.02, -0.01, 0.99]}
    )  # fmt: skip
    told = words.shortcut_sentences({"marker_use": used, "correction": brought})
    assert "by 0.20 to 0.50 before fine-tuning, by 0.40 to 0.60 after it" in told
    assert "and by 0.01 to 0.03 after fine-tuning on films whose marker tells nothing" in told
    assert "0.05 of the LayerCAM map onto the lesion (0.02 where the marker stays)" in told
    assert "0.18 of the Grad-CAM map onto the lesion (−0.01 where" in told and "0.99" not in told
    assert words.shortcut_sentences({"correction": brought}) == ""
    assert words.shortcut_sentences({"marker_use": used[:8], "correction": brought}) == ""
