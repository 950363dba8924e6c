"""Known answers for dealing patients to training, validation and test."""

import numpy as np
import pandas as pd
import pytest
from material import FRACTIONS, cohort

from lib.data.splits import assign_splits, check_counts
from lib.study.errors import DataError


def test_splits_are_grouped_stratified_and_as_asked():
    index = assign_splits(cohort(), fractions=FRACTIONS, seed=1)
    assert (index.groupby("patient_id")["split"].nunique() == 1).all()
    for _, group in index.groupby("label"):
        shares = group["split"].value_counts(normalize=True)
        for split, fraction in FRACTIONS.items():
            # no split is further off than the films of one patient
            assert abs(shares[split] - fraction) * len(group) <= 4


def test_single_film_patients_are_split_exactly():
    index = cohort(240).drop_duplicates("patient_id")
    counts = assign_splits(index, fractions=FRACTIONS, seed=3).groupby(["label", "split"]).size()
    expected = {"train": 48, "validation": 12, "test": 20}
    assert counts.to_dict() == {(c, s): n for c in "abc" for s, n in expected.items()}


def test_splits_depend_on_the_seed_and_not_on_the_order_of_rows():
    index = cohort()
    first = assign_splits(index, fractions=FRACTIONS, seed=1)
    shuffled = assign_splits(index.sample(frac=1, random_state=0), fractions=FRACTIONS, seed=1)
    pd.testing.assert_frame_equal(shuffled.sort_index(), first)
    other = assign_splits(index, fractions=FRACTIONS, seed=2)
    assert (other["split"] != first["split"]).mean() > 0.2
    assert (index["split"] == "").all()


def test_three_patients_are_enough_and_two_are_not():
    index = cohort(9)
    splits = assign_splits(index, fractions=FRACTIONS, seed=0).groupby("label")["split"]
    assert (splits.nunique() == 3).all()
    with pytest.raises(DataError, match=r"'c': found 2 patients and none in .* at least 3"):
        assign_splits(cohort(8), fractions=FRACTIONS, seed=0)


def test_patient_of_two_labels_stays_together():
    index = cohort(30)
    index.loc[index.groupby("patient_id").cumcount() == 1, "label"] = "a"
    result = assign_splits(index, fractions=FRACTIONS, seed=0)
    assert (result.groupby("patient_id")["split"].nunique() == 1).all()


def test_given_split_is_respected_and_checked():
    index = assign_splits(cohort(), fractions=FRACTIONS, seed=1)
    pd.testing.assert_frame_equal(assign_splits(index, fractions=FRACTIONS, seed=99), index)

    partly = index.copy()
    partly.loc[:2, "split"] = ""
    with pytest.raises(DataError, match=f"found {len(index) - 3} rows with and 3 without a split"):
        assign_splits(partly, fractions=FRACTIONS, seed=1)

    straddling = index.copy()
    repeated = straddling["patient_id"].duplicated()
    straddling["split"] = np.where(repeated, "test", "train")
    patients = sorted(straddling.loc[repeated, "patient_id"].unique())
    with pytest.raises(DataError, match="patients in two splits") as caught:
        assign_splits(straddling, fractions=FRACTIONS, seed=1)
    assert ", ".join(map(repr, patients[:5])) + f" … ({len(patients)} in all)" in str(caught.value)

    absent = index[~((index["label"] == "b") & (index["split"] == "validation"))]
    with pytest.raises(DataError, match=r"label 'b': found .* none in 'validation'"):
        assign_splits(absent, fractions=FRACTIONS, seed=1)


def test_counts_of_images_and_patients():
    manifest = pd.DataFrame(
        [("a", s, p) for s, p in zip("xxyz", "1123", strict=True)]
        + [("b", s, p) for s, p in zip("xyzz", "4567", strict=True)],
        columns=["label", "split", "patient_id"],
    )
    names = {"x": "train", "y": "validation", "z": "test"}
    manifest["split"] = manifest["split"].map(names)
    counts = check_counts(manifest, classes=["b", "a"])
    assert counts["label"].tolist() == ["b"] * 3 + ["a"] * 3
    assert counts["split"].tolist() == ["train", "validation", "test"] * 2
    assert counts["images"].tolist() == [1, 1, 2, 2, 1, 1]
    assert counts["patients"].tolist() == [1, 1, 2, 1, 1, 1]
    with pytest.raises(DataError, match="no image of 'c in train', 'c in validation', 'c in test'"):
        check_counts(manifest, classes=["a", "b", "c"])
    with pytest.raises(DataError, match="'a in validation'"):
        check_counts(manifest[manifest["split"] != "validation"], classes=["a", "b"])


def test_an_earlier_split_stays_what_it_was():
    """Splits of published results must stay reproducible: this one is fixed for ever."""
    index = cohort(12)
    splits = assign_splits(index, fractions=FRACTIONS, seed=1)["split"]
    first = "".join(split[1] for split in splits.groupby(index["patient_id"], sort=False).first())
    assert first == "rreeearrraar"
    own = assign_splits(index, fractions=FRACTIONS, seed=1, groups=index["patient_id"])["split"]
    pd.testing.assert_series_equal(own, splits)


def test_groups_stay_together():
    index = cohort()
    groups = "g" + (index["patient_id"].str[7:].astype(int) // 9).astype(str)
    result = assign_splits(index, fractions=FRACTIONS, seed=1, groups=groups)
    assert (result.groupby(groups)["split"].nunique() == 1).all()
    assert (result.groupby("patient_id")["split"].nunique() == 1).all()
    shares = result["split"].value_counts(normalize=True)
    assert all(abs(shares[split] - share) < 0.06 for split, share in FRACTIONS.items())


def leaking():
    """A given split in which the films of group "g" are 2 in test, 1 in train, 1 in validation."""
    index = assign_splits(cohort(30), fractions=FRACTIONS, seed=1)
    index = index.drop_duplicates("patient_id").reset_index(drop=True)
    chosen = [index.index[index["split"] == s] for s in ("test", "test", "train", "validation")]
    rows = [chosen[0][0], chosen[1][1], chosen[2][0], chosen[3][0]]
    groups = index["patient_id"].copy()
    groups[rows] = "g"
    return index, groups, rows


def test_leakage_of_a_given_split():
    index, groups, rows = leaking()
    settings = {"fractions": FRACTIONS, "seed": 1, "groups": groups}
    pd.testing.assert_frame_equal(assign_splits(index, **settings), index)
    name = index["file"][min(rows)]
    with pytest.raises(
        DataError, match=f"groups of near-duplicates in two splits: 'that of {name}"
    ):
        assign_splits(index, **settings, leakage="error")
    repaired = assign_splits(index, **settings, leakage="repair")["split"]
    assert (repaired[rows] == "test").all()
    pd.testing.assert_series_equal(repaired.drop(rows), index["split"].drop(rows))
    redrawn = assign_splits(index, **settings, leakage="redraw")
    blank = assign_splits(index.assign(split=""), **settings)
    pd.testing.assert_frame_equal(redrawn, blank)


def test_repair_of_a_tie_goes_to_train():
    index, groups, rows = leaking()
    settings = {"fractions": FRACTIONS, "seed": 1, "leakage": "repair"}
    groups[rows[1]] = "alone"  # one film in each split is left
    repaired = assign_splits(index, groups=groups, **settings)["split"]
    assert (repaired[[rows[0], *rows[2:]]] == "train").all()


def test_straddling_patients_are_repaired_too():
    index = assign_splits(cohort(), fractions=FRACTIONS, seed=1)
    first = index.index[index["patient_id"].duplicated(keep=False) & (index["split"] == "test")][0]
    index.loc[first, "split"] = "train"
    with pytest.raises(DataError, match=r"patients in two splits.*data\.leakage=repair or redraw"):
        assign_splits(index, fractions=FRACTIONS, seed=1)
    repaired = assign_splits(index, fractions=FRACTIONS, seed=1, leakage="repair")
    assert (repaired.groupby("patient_id")["split"].nunique() == 1).all()


def test_a_given_split_without_test_films_is_refused():
    given = cohort(30).assign(split="train")
    with pytest.raises(DataError, match=r"none in 'validation', 'test'.*redraw"):
        assign_splits(given, fractions=FRACTIONS, seed=0)


@pytest.mark.parametrize("leakage", ["report", "repair"])
def test_validation_is_drawn_from_train_where_there_is_none(leakage):
    index = cohort()
    patients = index["patient_id"].unique()
    held_out = index["patient_id"].isin(patients[:60])
    given = index.assign(split=np.where(held_out, "test", "train"))
    split = assign_splits(given, fractions=FRACTIONS, seed=3, leakage=leakage)
    assert (split.loc[held_out, "split"] == "test").all()
    drawn = split[~held_out]
    assert set(drawn["split"]) == {"train", "validation"}
    assert (drawn.groupby("patient_id")["split"].nunique() == 1).all()
    share = (drawn["split"] == "validation").mean()
    assert abs(share - FRACTIONS["validation"] / 0.75) < 0.02
