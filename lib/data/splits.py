"""Deal films to training, validation and test so that no patient is on two sides."""

import numpy as np
import pandas as pd

from lib.study.errors import DataError, few
from lib.study.names import SPLITS


def assign_splits(index, *, fractions, seed, groups=None, leakage="report"):
    """Fill the split by patient within each class, or check the one that the index brings.

    Of train and test alone, validation is drawn from train. Groups of a class (their most frequent
    label; the first in the alphabet when tied) come in an order drawn from `seed` and each goes to
    the split that lacks most images. The order of the rows has no influence.

    Parameters
    ----------
    index : pandas.DataFrame
        Or the manifest of `lib.data.cache.build`.
    fractions : dict of str to float
        Shares of the images for train, validation and test; positive, of sum 1.
    seed : int
        Of the order in which groups are assigned.
    groups : sequence of str, optional
        What is kept together, for each row: of `duplicates.groups`; the patients by default.
    leakage : {"report", "error", "repair", "redraw"}
        What to do where a given split has a group on two sides: keep the split for the audit to
        report (a patient on two sides is an error nevertheless), an error, move each such group to
        the split that has most of its images (the first of train, validation, test when tied), or
        draw all anew.

    Raises
    ------
    DataError
        On a half-filled split column, a patient or group in two splits, or a class that is absent
        from a split.
    """
    given = index["split"] != ""
    if given.any() and not given.all() and leakage != "redraw":
        raise DataError(
            f"split: found {given.sum()} rows with and {(~given).sum()} without a split, expected "
            "all or none. Complete the column, leave it out, or set data.leakage=redraw."
        )
    result = index.copy()
    together = index["patient_id"] if groups is None else pd.Series(list(groups), index.index)
    if leakage == "redraw" or not given.any():
        result["split"] = together.map(_draw_splits(index, together, fractions, seed))
    else:
        if leakage == "repair":
            counts = pd.crosstab(together, index["split"]).reindex(
                columns=list(SPLITS), fill_value=0
            )
            result["split"] = together.map(counts.idxmax(axis=1))  # of equal ones the first
        if set(result["split"]) == {"train", "test"}:
            part = (result["split"] == "train").to_numpy()
            shares = {split: fractions[split] for split in ("train", "validation")}
            shares = {split: share / sum(shares.values()) for split, share in shares.items()}
            drawn = together[part].map(_draw_splits(index[part], together[part], shares, seed))
            result.loc[part, "split"] = drawn
    _refuse_straddling(result, result["patient_id"], "patients")
    if leakage == "error":
        _refuse_straddling(result, together, "groups of near-duplicates")
    for label, group in result.groupby("label"):
        if absent := [split for split in SPLITS if split not in set(group["split"])]:
            raise DataError(
                f"label {label!r}: found {group['patient_id'].nunique()} patients and none in "
                f"{few(absent)}; expected at least {len(SPLITS)}, one for each split. "
                "Add patients, leave the class out, or correct the given split (data.leakage="
                "redraw draws another)."
            )
    return result


def _refuse_straddling(table, groups, what):
    sides = table.groupby(groups)["split"].nunique()
    if (sides > 1).any():
        found = sides.index[sides > 1]
        if what != "patients":
            films = table[groups.isin(found)].groupby(groups)["file"].first()
            found = [f"that of {file}" for file in films]
        raise DataError(
            f"split: found {what} in two splits: {few(found)}; expected each in one. Correct the "
            "column, leave it blank to have it drawn, or set data.leakage=repair or redraw."
        )


def _draw_splits(index, groups, fractions, seed):
    table = pd.DataFrame({"group": groups, "label": index["label"]})
    counts = table.groupby(["group", "label"]).size().rename("images").reset_index()
    counts = counts.sort_values(["group", "images", "label"], ascending=[True, False, True])
    strata = counts.drop_duplicates("group").set_index("group")["label"]
    images = counts.groupby("group")["images"].sum()
    random, splits = np.random.default_rng(seed), {}
    for _, stratum in strata.groupby(strata):
        lacking = {split: share * images[stratum.index].sum() for split, share in fractions.items()}
        empty, patients = list(fractions), random.permutation(stratum.index.to_numpy(dtype=object))
        for left, patient in zip(range(len(patients), 0, -1), patients, strict=True):
            split = max(empty if left <= len(empty) else fractions, key=lacking.get)
            lacking[split] -= images[patient]
            empty = [name for name in empty if name != split]
            splits[patient] = split
    return splits


def check_counts(manifest, *, classes):
    """Images and patients in number: columns ``label``, ``split``, ``images``, ``patients``.

    Classes come in the order given; one that is empty in a split is a DataError.
    """
    groups = manifest.groupby(["label", "split"])["patient_id"].agg(["size", "nunique"])
    cells = pd.MultiIndex.from_product([list(classes), list(SPLITS)], names=["label", "split"])
    counts = groups.reindex(cells, fill_value=0).set_axis(["images", "patients"], axis=1)
    if empty := [" in ".join(cell) for cell in cells[counts["images"] == 0]]:
        raise DataError(
            f"manifest: found no image of {few(empty)}; expected some of each class in each "
            "split. See the rejected files, add patients, or assign the splits again."
        )
    return counts.reset_index()
