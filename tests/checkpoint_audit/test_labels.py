"""Findings of multi-label models: what films have, which maps are made, whether outputs fit."""

import numpy as np
import pandas as pd
import pytest
from material import encoded, film

from lib.attribution.maps import MapSet, correct
from lib.checkpoint_audit import asking, classes, labels
from lib.checkpoint_audit import films as audited_films
from lib.checkpoint_audit.params import Attribution, AuditParams
from lib.checkpoint_audit.questions import folder_names, pairs
from lib.study.errors import DataError

NAMES = ("Effusion", "Mass")


def status(*texts, uncertain="leave_out", **renamed):
    return labels.status_table(pd.Series(texts), NAMES, uncertain=uncertain, labels=renamed)


def test_a_film_has_several_findings_none_or_an_uncertain_one():
    found = status("Effusion|Mass", "No Finding", "mass|Hernia", "", "Effusion?|Mass")
    expected = [[1, 1], [0, 0], [0, 1], [0, 0], [np.nan, 1]]
    np.testing.assert_array_equal(found, expected)
    assert status("Effusion?", uncertain="positive").tolist() == [[1, 0]]
    assert status("Effusion?", uncertain="negative").tolist() == [[0, 0]]
    assert status("Fluid", Fluid="Effusion").tolist() == [[1, 0]]


def test_a_misspelt_finding_is_refused_with_what_there_is():
    with pytest.raises(DataError, match=r"no film with .*Mass.*Tumour.*data.labels={Tumour: Mass}"):
        labels.require_findings(
            pd.Series(["Effusion|Tumour?", ""]), NAMES, labels={}, source="list.csv"
        )
    labels.require_findings(pd.Series(["effusion", "Mass?"]), NAMES, labels={}, source="list.csv")


def test_every_finding_of_a_film_is_explained_and_a_film_without_any_once():
    film_, finding = labels.rows_to_explain(status("Effusion|Mass", "", "Mass"))
    assert film_.tolist() == [0, 0, 1, 2] and finding.tolist() == [0, 1, 0, 1]


def test_the_maps_that_are_asked_are_of_films_with_their_finding():
    known = status("Effusion|Mass", "", "Mass", "Effusion?|Mass", "Effusion")
    rows = labels.rows_to_explain(known)
    params = AuditParams(versions=("a", "b"), name="x", data={"source": "x"})
    assert asking.sample(known, *rows, params).tolist() == [0, 1, 3, 4, 5]  # not that of film 1
    few = params.model_copy(update={"attribution": Attribution(faithfulness_films=2)})
    drawn = asking.sample(known, *rows, few)
    assert len(drawn) == 2 and 2 not in drawn and drawn.tolist() == sorted(drawn)
    none = params.model_copy(update={"attribution": Attribution(faithfulness_films=0)})
    assert not len(asking.sample(known, *rows, none))
    assert len(asking.sample(None, np.arange(40), np.zeros(40, int), params)) == 12
    assert asking.probability(np.array([[0, 9], [-9, np.log(3)]]), [0, 1]).tolist() == [
        0.5, pytest.approx(0.75),
    ]  # fmt: skip


def test_a_version_decides_by_the_highest_logit_or_for_each_finding_by_its_own():
    known = status("Effusion|Mass", "", "Mass", "Effusion?|Mass")
    film_, _ = labels.rows_to_explain(known)
    logits = np.array([[9, -5], [2, -9], [1, -3], [8, -4]])[film_]
    decided = asking.deciding(logits, known, film_)
    # One of three known films has an effusion: that above (9 + 2) / 2. Three of four have a mass.
    found = np.array([[5, 0], [6, 0], [0, -8], [0, -6]])
    assert decided(found, np.array([0, 0, 1, 1])).tolist() == [False, True, False, True]
    plain = asking.deciding(logits, None, None)
    assert plain(np.array([[0, 2], [3, 1]]), None).tolist() == [1, 0]


def test_a_version_names_a_finding_in_as_many_films_as_have_it():
    logits = np.array([-9.0, -2.0, -3.0, -7.0])
    point = labels.operating_point(logits, np.array([True, False, True, False]))
    assert point == -5.0 and (logits > point).tolist() == [False, True, True, False]


def maps_of(logits):
    """A set of maps of the films a (both findings), b (none), c (Mass) and d (Effusion unknown)."""
    rows, finding = np.array(list("aabcd")), np.array([0, 1, 0, 1, 1])
    stack = np.arange(20, dtype=np.float32).reshape(5, 2, 2)
    return MapSet(rows, finding, finding, logits, {("last", "cam"): stack}, {"last": "conv"})


def test_a_question_has_the_films_of_its_finding_and_its_own_logit():
    logits = np.array([[3, -1], [3, -1], [5, -4], [-2, -3], [9, -9]], np.float32)
    known = status("Effusion|Mass", "", "Mass", "Effusion?|Mass")
    films = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"), "label": "x"})
    sets = {name: maps_of(logits) for name in ("before", "after")}
    found, scores, manifest, of, thresholds = labels.of_finding(
        sets, films, known[:, 0], 0, "Effusion"
    )
    assert of == ("no Effusion", "Effusion") and thresholds == [4.0, 4.0]
    assert manifest["image_id"].tolist() == ["a", "b", "c"]  # d is uncertain
    assert manifest["label"].tolist() == ["Effusion", "no Effusion", "no Effusion"]
    maps, of_films = found["before"], scores["before"]
    assert maps.image_id.tolist() == ["a"] and maps.label.tolist() == [1]
    np.testing.assert_array_equal(maps.maps["last", "cam"], [[[0, 1], [2, 3]]])
    np.testing.assert_allclose(of_films[:, 1] - of_films[:, 0], [-1, 1, -6])
    assert not correct(maps).any()  # b has the higher logit, so a is missed
    _, _, other, _, _ = labels.of_finding(sets, films, known[:, 1], 1, "Mass")
    assert other["label"].tolist() == ["Mass", "no Mass", "Mass", "Mass"]
    maps = labels.of_finding(sets, films, known[:, 1], 1, "Mass")[0]["after"]
    assert maps.image_id.tolist() == ["a", "c", "d"] and maps.maps["last", "cam"][0, 0, 0] == 4
    assert labels.of_finding(sets, films, np.ones(4), 0, "Effusion") is None


def test_outputs_in_another_order_are_found_and_chance_is_none():
    generator = np.random.default_rng(0)
    known = (generator.random((300, 3)) < 0.3).astype(float)
    logits = known[:, [2, 0, 1]] * 2 + generator.normal(size=(300, 3))
    table = labels.output_table(logits, known, ["a", "b", "c"])
    assert table["best_output"].tolist() == ["b", "c", "a"] and table["elsewhere"].all()
    said = labels.output_warnings({"BEFORE": table})
    assert len(said) == 1 and "a by the output of b (AUC 0.9" in said[0]
    right = labels.output_table(logits[:, [1, 2, 0]], known, ["a", "b", "c"])
    assert not right["elsewhere"].any() and (right["auc"] > 0.9).all()
    blind = [
        labels.output_table(generator.normal(size=(60, 4)), known[:60, [0, 1, 2, 0]], list("abcd"))
        for _ in range(100)
    ]
    assert np.mean([table["elsewhere"].any() for table in blind]) <= 0.05


def test_a_rare_finding_is_judged_by_its_auc_and_not_by_accuracy():
    truth = np.arange(100) < 5
    score = np.where(truth, 2.0, 0.0) + np.linspace(0, 1, 100)
    two = np.outer(score, [-0.5, 0.5])
    found = classes.check_finding(two, truth.astype(int), classes=["no Mass", "Mass"])
    assert found.at_chance == {} and not found.permuted and np.isnan(found.p_chance)
    blind = classes.check_finding(-two, truth.astype(int), classes=["no Mass", "Mass"])
    assert list(blind.at_chance) == ["Mass"]


def test_findings_that_differ_in_odd_letters_alone_have_folders_of_their_own():
    names = ["Mass", "Mass (left)", "Mass [left]", "mass_left_", "Data", "..", "", "Lung Lesion"]
    folders = folder_names(names)
    assert folders[0] == "Mass" and folders[-1] == "Lung_Lesion"
    assert len({name.casefold() for name in folders}) == len(names)
    assert not {"data", "", ".", ".."} & {name.casefold() for name in folders}
    assert all(name.strip(".") and "/" not in name for name in folders)
    assert folder_names(names[:2]) == ["Mass", "Mass_left_"]  # as long as nothing is like it


def test_versions_are_compared_with_the_one_before_and_with_the_first():
    assert pairs(2) == [(0, 1)]
    assert pairs(4) == [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)]


@pytest.mark.parametrize(
    "table",
    [
        "file,label\n{0},Mass|Effusion\n{1},No Finding\n{2},Mass\n",
        "file,Mass,Effusion,Hernia\n{0},1,1,0\n{1},,0,0\n{2},1.0,-1,\n",
        "Image Index,Finding Labels\n{0},Mass|Effusion\n{1},No Finding\n{2},Mass\n",
    ],
)
def test_findings_are_read_from_one_column_or_from_many(tmp_path, table):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(encoded(film(number)))
    source = tmp_path / "list.csv"
    source.write_text(table.format("0.png", "1.png", "2.png"))
    told = {"source": str(source)}
    params = AuditParams(versions=("a", "b"), name="x", data=told, findings=NAMES)
    index, found = audited_films.index_films(params)
    assert found == NAMES and index["file"].tolist() == ["0.png", "1.png", "2.png"]
    known, _, _ = labels.explained_rows(index["label"], NAMES, params)
    np.testing.assert_array_equal(known[:2], [[1, 1], [0, 0]])
    assert known[2, 1] == 1 and (known[2, 0] == 0) != ("-1" in table)
    missing = params.model_copy(update={"findings": ("Effusion", "Masses")})
    with pytest.raises(DataError, match="no film with 'Masses'"):
        audited_films.index_films(missing)


@pytest.mark.parametrize(
    ("outputs", "returned", "findings", "why"),
    [
        (3, "softmax", (), ""),
        (2, "sigmoid", (), ""),
        (3, "sigmoids", ("a", "b", "c"), ""),
        (3, "logits", ("a", "b", "c"), ""),
        (4, "softmax", (), r"tell 4 classes apart, the data have 3: a, b, c"),
        (3, "sigmoids", (), r"3 sigmoids, which are 3 questions.*FINDINGS="),
        (3, "softmax", ("a", "b", "c"), r"end in softmax, .*CLASSES="),
        (4, "sigmoids", ("a", "b", "c"), r"found 3 findings .* tell 4 things.*in the order"),
    ],
)
def test_there_must_be_a_class_or_a_finding_for_each_output(outputs, returned, findings, why):
    given = {"classes": ["a", "b", "c"][:outputs], "findings": findings}
    if not why:
        return classes.require_outputs(outputs, returned, **given)
    with pytest.raises(ValueError, match=why):
        classes.require_outputs(outputs, returned, **given)


def test_a_permutation_of_the_classes_is_found_and_named():
    labels = np.arange(90) % 3
    logits = np.eye(3)[(labels + 1) % 3]  # output 0 means class 2, 1 means 0, 2 means 1
    found = classes.check_mapping(logits, labels, classes=["x", "y", "z"])
    assert found.permuted and found.accuracy == 0 and found.best_accuracy == 1
    assert found.best_order == ("z", "x", "y")
    right = classes.check_mapping(np.eye(3)[labels], labels, classes=["x", "y", "z"])
    assert not right.permuted and right.best_order == ("x", "y", "z") and right.p_chance < 1e-9


def test_a_classifier_without_skill_is_no_permutation():
    generator = np.random.default_rng(3)
    labels = np.arange(60) % 4
    found = [
        classes.check_mapping(generator.normal(size=(60, 4)), labels, classes=list("abcd"))
        for _ in range(200)
    ]
    assert np.mean([each.permuted for each in found]) <= 0.02
    assert np.mean([each.p_chance > 0.05 for each in found]) > 0.85  # discrete, level 0.05 or less
