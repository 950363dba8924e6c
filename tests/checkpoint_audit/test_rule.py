"""The rule and the words of an audit: held against intervals, told by exit code and sentences."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from pairs_material import pairs_table

from lib.checkpoint_audit import report, rule, sentences
from lib.checkpoint_audit.findings import measured
from lib.study.artefacts import read_table, write_table
from lib.study.errors import ParamsError
from lib.study.paths import ROOT

CELL = {"role": "post_activation", "method": "layercam"}


def table(**intervals):
    """A table of measures; a name with two underscores ends in the class."""
    rows = [
        [name.partition("__")[0], name.partition("__")[2], *found, 50]
        for name, found in intervals.items()
    ]
    return pd.DataFrame(rows, columns=["measure", "label", "estimate", "low", "high", "films"])


@pytest.mark.parametrize(
    ("interval", "least", "most"),
    [
        ((0.9, 0.85, 0.95), "passed", "failed"),
        ((0.8, 0.8, 0.8), "passed", "passed"),
        ((0.8, 0.7, 0.9), "cannot be told", "cannot be told"),
        ((0.1, 0.0, 0.2), "failed", "passed"),
        ((np.nan, np.nan, np.nan), "cannot be told", "cannot be told"),
        ((0.9, -np.inf, np.inf), "cannot be told", "cannot be told"),
    ],
)
def test_the_whole_interval_must_lie_on_the_good_side(interval, least, most):
    asked = rule.Rule(retained_evidence_at_least=0.8, blank_maps_at_most=0.8)
    judged = rule.judge(asked, table(retained_evidence=interval, blank_maps=interval))
    assert judged["verdict"].tolist() == [least, most]


def test_one_failure_fails_and_what_cannot_be_told_is_no_pass(tmp_path):
    good, bad, wide = (0.9, 0.85, 0.95), (0.1, 0.0, 0.2), (0.5, 0.1, 0.9)
    asked = rule.Rule(class_retained_evidence_at_least=0.6)
    codes = {}
    for name, other in (("passed", good), ("failed", bad), ("cannot be told", wide)):
        found = {"class_retained_evidence__ill": other, "class_retained_evidence__tb": good}
        judged = rule.judge(asked, table(retained_evidence=bad, **found))
        assert judged["label"].tolist() == ["ill", "tb"]
        (tmp_path / name).mkdir()
        rule.write(judged, tmp_path / name)
        codes[name] = rule.exit_code(tmp_path / name)
    assert codes == {"passed": 0, "failed": 1, "cannot be told": 2}
    assert rule.exit_code(tmp_path) == 0  # no rule
    assert rule.verdict(rule.judge(asked, table(retained_evidence=good))) == "cannot be told"
    told = json.loads((tmp_path / "failed/rule.json").read_text())
    assert told["verdict"] == "failed" and told["criteria"][0]["high"] == 0.2
    suite = ElementTree.parse(tmp_path / "failed/rule.junit.xml").getroot()
    assert suite.attrib == {"name": "failed", "tests": "2", "failures": "1", "errors": "0"}
    assert suite[0].get("name") == "class retained evidence at least 0.6 (ill)"
    assert suite[0][0].tag == "failure" and "0.100, interval 0.000 to 0.200" in suite[0][0].get(
        "message"
    )
    assert (
        ElementTree.parse(tmp_path / "cannot be told/rule.junit.xml").getroot()[0][0].tag == "error"
    )


def test_the_page_says_which_criterion_is_not_passed():
    asked = rule.Rule(retained_evidence_at_least=0.8, accuracy_loss_at_most=0.05)
    found = table(retained_evidence=(0.11, 0.07, 0.14), accuracy_loss=(0.0, -0.02, 0.02))
    sentence = sentences.rule_sentence(rule.judge(asked, found))
    assert sentence == (
        "By the rule that was stated beforehand: failed. Failed: retained evidence at least 0.8, "
        "found 0.110, interval 0.070 to 0.140."
    )
    unknown = {f"class_accuracy__{name}": [np.nan] * 3 for name in "abcde"}
    judged = rule.judge(rule.Rule(class_accuracy_at_least=0.5), table(**unknown))
    assert sentences.rule_sentence(judged) == (
        "By the rule that was stated beforehand: cannot be told. Cannot be told: class accuracy at "
        "least 0.5 (a), found nothing to measure; class accuracy at least 0.5 (b), found nothing "
        "to measure; class accuracy at least 0.5 (c), found nothing to measure; 2 more."
    )
    assert sentences.rule_sentence(None) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("retained_evidence_at_leest: 0.8", "did you mean 'retained_evidence_at_least'"),
        ("retained_evidence_at_least: 80", "less than or equal to 1"),
        ("retained_evidence_at_least: true", "valid number"),
        ("retained_evidence_at_least: 80%", "valid number"),
        ("retained_evidence_at_least:", "every criterion is empty"),
        ("", "found NoneType, expected lines such as 'retained_evidence_at_least: 0.8'"),
        ("- 1", "found list, expected lines"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(tmp_path, text, why):
    file = tmp_path / "rule.yml"
    with pytest.raises(ParamsError, match="no such file"):
        rule.read(file)
    file.write_text(text)
    with pytest.raises(ParamsError, match=why):
        rule.read(file)
    file.write_text(rule.EXAMPLE)
    assert rule.read(file).bounds == {"retained_evidence_at_least": 0.8}


def test_the_rule_in_the_book_is_one():
    text = (ROOT / "book/audit.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    assert set(rule.Rule.model_validate(yaml.safe_load(block)).bounds) == set(
        rule.Rule.model_fields
    )


def audited():
    """Pairs and predictions of an audit of forty films, twenty of each of two classes.

    The overlap of the change is 0.8 of the way from unrelated films to the floor, of the class
    "ill" 0.4 of the way. One film of each patient of two.
    """
    films = [f"film{number:03d}" for number in range(40)]
    label = dict(zip(films, ["well"] * 20 + ["ill"] * 20, strict=True))
    pairs = pairs_table(seeds=1, noise=0.0, architectures=("densenet201",))
    pairs = pairs[pairs["pairing"].isin(("placebo", "finetune", "ceiling"))]
    names = {"placebo": "explainer", "finetune": "change"}
    pairs = pairs.replace({"pairing": names}).assign(before="before", after="after")
    mean = {"explainer": 1.0, "ceiling": 0.2}
    pairs["iou_top20"] = [
        mean.get(pairing, 0.2 + 0.8 * (0.4 if label[film] == "ill" else 0.8))
        for pairing, film in zip(pairs["pairing"], pairs["image_id"], strict=True)
    ]
    predictions = pd.DataFrame({"image_id": films, "label": list(label.values())})
    predictions["patient_id"] = np.arange(40) // 2
    right = predictions.assign(predicted=predictions["label"], checkpoint="before")
    lost = right.assign(checkpoint="after")
    lost.loc[[0, 1, 20, 21], "predicted"] = "other"
    return pairs, pd.concat([right, lost])


def test_measures_are_those_that_were_planted(tmp_path):
    pairs, predictions = audited()
    change = pairs["pairing"].eq("change")
    pairs.loc[change & (pairs["image_id"] == "film039"), "iou_top20"] = np.nan
    found = measured(pairs, predictions, cell=CELL, classes=["well", "ill"])
    write_table(tmp_path / "measured.csv", found)  # as the report finds it
    judged = rule.judge(rule.Rule(accuracy_loss_at_most=0.5), read_table(tmp_path / "measured.csv"))
    assert judged["label"].tolist() == [""] and judged["verdict"].tolist() == ["passed"]
    found = found.set_index(["measure", "label"])
    evidence = found.loc["class_retained_evidence"]["estimate"]
    np.testing.assert_allclose(evidence, [0.8, 0.4], atol=1e-9)
    assert found.loc[("retained_evidence", ""), "estimate"] == pytest.approx(0.605, abs=0.01)
    assert found.loc[("blank_maps", ""), "estimate"] == pytest.approx(1 / 40)
    assert found.loc[("class_blank_maps", "well"), "estimate"] == 0
    assert found.loc[("class_blank_maps", "well"), "high"] > 0.1  # twenty films are no proof
    assert (
        found.loc[("accuracy", ""), "estimate"] == found.loc[("class_accuracy", "ill"), "estimate"]
    )
    loss = found.loc[("accuracy_loss", "")]
    assert loss["estimate"] == pytest.approx(0.1) and loss["low"] < 0 < 0.1 < loss["high"]
    assert found["films"].max() == 40 and found.loc[("class_accuracy", "ill"), "films"] == 20


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ((1.0, 1.0, 1.0), "No: retained evidence R is 1.00, where 1 is"),
        ((0.11, 0.07, 0.14), "Yes: nearly all of it moved. Retained evidence R is 0.11 (95"),
        ((0.1, -0.1, 0.3), "Yes: most to nearly all of it moved. Retained evidence R is 0.10"),
        ((0.3, 0.25, 0.4), "Yes: most of it moved. "),
        ((0.5, 0.4, 0.6), "In part: some to most of it moved. Retained evidence R is 0.50 (95"),
        ((0.9, 0.85, 0.95), "Hardly: little of it moved. "),
        ((0.9, 0.7, 1.1), "Not as far as can be seen: none to some of it moved. Retained"),
        ((1.1, 0.7, 1.2), "Not as far as can be seen: none to some of it moved. Retained"),
        ((0.5, -0.2, 1.2), "It cannot be told: none to nearly all of it moved. Retained evidence"),
        ((0.5, 0.1, 0.9), "It cannot be told: little to nearly all of it moved. Retained"),
        ((0.5, -np.inf, np.inf), "It cannot be told: retained evidence R is 0.50, and the inter"),
        ((np.nan, np.nan, np.nan), ""),
    ],
)
def test_the_interval_says_whether_the_evidence_moved(values, answer):
    retained = pd.DataFrame([values], columns=["estimate", "low", "high"])
    retained = retained.assign(**CELL, metric="iou_top20")
    sentence = sentences.moved_sentence(retained, tuple(CELL.values()))
    assert sentence.startswith(answer) and bool(sentence) == bool(answer)


def test_the_words_for_retained_evidence_are_the_same_everywhere():
    said = " ".join((ROOT / "book/audit.md").read_text(encoding="utf-8").split())
    assert sentences.words_of_scale() in said
    assert sentences.words_of_scale() in report._CAPTIONS["retained"]
    assert said.count("Of the evidence moved") == 1


def test_the_answer_has_its_controls_beside_it():
    rows = [
        ["auto_conv", "change", 0.25],
        ["post_activation", "change", 0.5],
        ["post_activation", "explainer", 1.0],
        ["post_activation", "ceiling", 0.125],
        ["post_activation", "randomised", np.nan],
    ]
    drift = pd.DataFrame(rows, columns=["role", "pairing", "mean"])
    drift = drift.assign(architecture="stranger", method="layercam", metric="iou_top20")
    support = pd.DataFrame({"label": ["a", "b"], "films": [6, 4], "common": [3, 2]})
    sentence = sentences.overlap_sentence(drift, support, tuple(CELL.values()))
    assert sentence.startswith("On the 5 of 10 films that both checkpoints classify correctly")
    assert "overlap by 0.50 (1 = the same places), against 1.00 where the same" in sentence
    assert "and 0.12 between maps of different patients' films. That is LayerCAM at" in sentence
    assert sentence.endswith("over all layers and methods it is 0.25 to 0.50.")
    nothing = drift.assign(mean=np.nan)
    assert sentences.overlap_sentence(nothing, support, ("post_activation", "layercam")).endswith(
        "no two maps could be compared."
    )
