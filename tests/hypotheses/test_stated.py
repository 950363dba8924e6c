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
    assert [name for name, _ in rules] == ["H1", "H2", "H3", "H4", "H5"]
    assert {rule.metric for _, rule in rules} == {
        "iou_top20", "centroid_displacement", "lesion_gain",
    }  # fmt: skip
    assert rules.H1.controls == ("placebo", "finetune_seeds")
    assert (rules.H2.role, rules.H3.role) == ("auto_conv", "post_activation")
    assert rules.H2.methods == rules.H3.methods == ("layercam", "gradcam_plus_plus")
    assert all(rule.alpha == 0.05 and rule.level == 0.95 for _, rule in rules)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("H1.alhpa", 0.05, "unknown key 'H1.alhpa': did you mean 'alpha'?"),
        ("H1.minimum.film", 3, "unknown key 'H1.minimum.film': did you mean 'films'?"),
        ("H6", {}, "unknown key 'H6'"),
        ("H2", None, "H2 is missing"),
        ("H1.question", None, "H1.question is missing"),
        ("H1.question", "It moves.", "H1.question = 'It moves.'"),
        ("H1.alpha", 0.5, "H1.alpha = 0.5: Input should be less than 0.5"),
        ("H1.alpha", True, "H1.alpha = True"),
        ("H1.level", 1.0, "H1.level = 1.0"),
        ("H1.metric", "gini_change", "H1.metric = 'gini_change'"),
        ("H4.metric", "iou_top20", "H4.metric = 'iou_top20'"),
        ("H1.role", "head", "H1.role = 'head'"),
        ("H1.controls", [], "H1.controls = []"),
        ("H1.methods", ["layercam", "layercam"], "methods = ['layercam', 'layercam']: none of"),
        ("H2.methods", ["layercam"], "H2.methods.1 is missing"),
        ("H2.architectures", ["resnet50v2"], "H2.architectures"),
        ("H1.margin.fixed", 0.1, "H1.margin: expected either fixed, or seed_floor_fraction"),
        ("H1.margin.fallback", None, "H1.margin: expected either fixed"),
        ("H3.margin.fixed", 0, "H3.margin.fixed = 0: Input should be greater than 0"),
        ("H1.minimum.patients", 50, "H1.minimum: patients = 50: more than films = 20"),
        ("H1.minimum.seeds", 2.5, "H1.minimum.seeds = 2.5"),
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
    path.write_text("H1: {alpha: 2}\nH9: 1\n", encoding="utf-8")
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
