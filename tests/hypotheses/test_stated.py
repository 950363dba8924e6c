"""The file of hypotheses: what may stand in it, and what the published one says."""

import copy

import pytest
import yaml

from lib.hypotheses import stated
from lib.hypotheses.stated import load
from lib.study.errors import ParamsError


@pytest.fixture
def changed(tmp_path):
    """Load the published file with one value replaced; a key of None is removed."""
    values = yaml.safe_load(stated.FILE.read_text(encoding="utf-8"))

    def make(key, value):
        edited = copy.deepcopy(values)
        *folders, last = key.split(".")
        section = edited
        for folder in folders:
            section = section[folder]
        section[last] = value
        if value is None:
            del section[last]
        path = tmp_path / "hypotheses.yml"
        path.write_text(yaml.safe_dump(edited), encoding="utf-8")
        return load(path)

    return make


def test_the_published_rules():
    rules = load()
    assert list(rules.rules) == ["H1", "H2", "H3", "H4", "H5", "H6"]
    assert rules.version == 2 and str(rules.date) == "2026-11-27"
    assert {rule.metric for rule in rules.rules.values()} == {
        "unit_distance", "soft_iou", "centroid_displacement", "lesion_gain",
    }  # fmt: skip
    assert (rules.H2.roles, rules.H3.roles) == (("auto_conv",), ("post_activation",))
    assert rules.H2.methods == rules.H3.methods == ("layercam", "gradcam_plus_plus")
    spent = {name: sum(rule.looks.values()) for name, rule in rules.rules.items()}
    assert spent.pop("H3") == 0 and all(s == pytest.approx(0.05) for s in spent.values())
    assert rules.H1.planned == "3, 5, 8 or 12"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("H1.lokos", {}, "unknown key 'H1.lokos': did you mean 'looks'?"),
        ("H1.minimum.film", 3, "unknown key 'H1.minimum.film': did you mean 'films'?"),
        ("H7", {}, "unknown key 'H7'"),
        ("H2", None, "H2 is missing"),
        ("H1.question", None, "H1.question is missing"),
        ("H1.question", "It moves.", "H1.question = 'It moves.'"),
        ("H1.looks", {3: 0.04, 5: 0.02}, "H1: looks: the error rates add to 0.06"),
        ("H1.looks", {0: 0.01}, "H1.looks"),
        ("date", "soon", "date = 'soon'"),
        ("H1.level", 1.0, "H1.level = 1.0"),
        ("H1.metric", "gini_change", "H1.metric = 'gini_change'"),
        ("H4.metric", "iou_top20", "H4.metric = 'iou_top20'"),
        ("H1.roles", ["head"], "H1.roles"),
        ("H1.roles", [], "H1.roles = []"),
        ("H1.least_way", 1.5, "H1.least_way = 1.5"),
        ("H1.methods", ["layercam", "layercam"], "methods = ['layercam', 'layercam']: none of"),
        ("H2.methods", ["layercam"], "H2.methods.1 is missing"),
        ("H2.architectures", ["resnet50v2"], "H2.architectures"),
        ("H2.margin_way", 0, "H2.margin_way = 0"),
        ("H1.minimum.patients", 50, "H1.minimum: patients = 50: more than films = 20"),
        ("H1.minimum.films", 2.5, "H1.minimum.films = 2.5"),
        ("H3.tolerance", -1, "H3.tolerance = -1"),
        ("H4.prior.pairs", 10, "H4.prior.pairs = 10"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_key_and_file(changed, key, value, message):
    with pytest.raises(ParamsError) as caught:
        changed(key, value)
    assert str(caught.value).startswith("hypotheses.yml: ")
    assert message in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text("H1: {level: 2}\nH9: 1\n", encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load(path)
    assert {"mine.yml: H2 is missing", "mine.yml: H1.metric is missing"} <= set(
        str(caught.value).splitlines()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [("H1: [", "not valid YAML"), ("- H1", "found list, expected `key: value` lines")],
)
def test_what_is_no_table_of_rules_is_refused(tmp_path, text, message):
    path = tmp_path / "hypotheses.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        load(path)
    with pytest.raises(ParamsError, match=r"none\.yml: missing; restore"):
        load(tmp_path / "none.yml")
