"""Read the index of a collection of chest films, check it and split it by patient.

A collection is a folder of class folders or a CSV manifest. Both become the same *index*, one row
per image; `lib.image_cache` decodes the films that it lists.
"""

import csv
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
MASKS = {"lung_mask": "lungs", "lesion_mask": "lesion"}
# What spreadsheets write for "not known"; taken literally it would be one patient of many films.
UNKNOWN_PATIENT = ("", "na", "n/a", "nan", "none", "null", "unknown")


class DataError(ValueError):
    """The collection or a parameter is unusable; the message says what to do."""


def read_index(path, *, classes):
    """Index a folder of class folders or a CSV manifest.

    Parameters
    ----------
    path : path-like
        A folder whose subfolders bear the names of the classes (searched in depth; names that start
        with a dot are skipped), or a ``.csv`` in UTF-8 with columns ``file`` (relative to the CSV's
        folder), ``label`` and optionally ``image_id``, ``patient_id``, ``split`` and any others.
    classes : sequence of str
        Every label allowed; each must occur.

    Returns
    -------
    pandas.DataFrame
        Columns ``image_id`` (unique; the file where none is given), ``file`` (posix), ``label``,
        ``patient_id`` (the image_id where unknown: each image its own patient), ``patient_known``
        (bool), ``split`` ("" where not given), then the manifest's other columns, as text. Rows in
        the manifest's order; for a folder, classes as given and files sorted.

    Raises
    ------
    DataError
        On anything missing, unknown, duplicated, or on a path that leaves the data folder.
    """
    path, classes = Path(path), list(classes)
    if not classes or len(set(classes)) < len(classes):
        raise DataError(f"classes: found {classes}, expected distinct names. List each class once.")
    if path.is_dir():
        root, table = path, _scan_folder(path, classes)
    elif path.is_file() and path.suffix.lower() == ".csv":
        root, table = path.parent, _read_manifest(path)
    else:
        found = "something else" if path.exists() else "nothing"
        raise DataError(
            f"{path}: found {found}, expected a folder of class folders or a .csv manifest. "
            "Check the path, or write a manifest with columns file,label."
        )
    extra = [column for column in table if column not in ("file", "label")]
    table = table.assign(**{c: "" for c in ("image_id", "patient_id", "split") if c not in extra})
    for column in ("image_id", "label", "patient_id", "split"):
        table[column] = table[column].str.strip()
    _check_paths(table, root, path)
    table["file"] = [PurePosixPath(file).as_posix() for file in table["file"]]
    table["image_id"] = table["image_id"].where(table["image_id"] != "", table["file"])
    table["patient_known"] = ~table["patient_id"].str.casefold().isin(UNKNOWN_PATIENT)
    table["patient_id"] = table["patient_id"].where(table["patient_known"], table["image_id"])
    table["split"] = table["split"].replace("val", "validation")

    _refuse_rows(table, ~table["label"].isin(classes), "label", path, f"one of {classes}")
    allowed = f"one of {list(SPLITS)} or blank"
    _refuse_rows(table, ~table["split"].isin((*SPLITS, "")), "split", path, allowed)
    for column in ("file", "image_id"):
        _refuse_rows(table, table[column].duplicated(keep=False), column, path, "each once")
    if empty := [name for name in classes if not (table["label"] == name).any()]:
        raise DataError(
            f"{path}: no image of class {few(empty)}; expected some of each of {classes}. "
            "Add images or take the class out of the study's classes."
        )
    first = ["image_id", "file", "label", "patient_id", "patient_known", "split"]
    return table[first + [column for column in table if column not in first]]


def _scan_folder(root, classes):
    folders = [p.name for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] != "."]
    if unknown := [name for name in folders if name not in classes]:
        raise DataError(
            f"{root}: found folders {few(unknown)}, expected only {classes}. "
            "Add them to the classes, move them away, or describe the films in a .csv manifest."
        )
    rows = []
    for name in classes:
        for entry in sorted((root / name).rglob("*"), key=lambda p: p.relative_to(root).as_posix()):
            file = entry.relative_to(root)
            if entry.is_dir() and entry.is_symlink():
                raise DataError(
                    f"{entry}: found a symbolic link to a folder, which is not searched; expected "
                    "files and folders. Copy the folder here or write a .csv manifest."
                )
            if not entry.is_dir() and not any(part.startswith(".") for part in file.parts):
                rows.append((file.as_posix(), name))
    return pd.DataFrame(rows, columns=["file", "label"], dtype=str)


def _read_manifest(path):
    # Not pandas.read_csv: it pads short rows and shifts long ones without a word.
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            header, *rows = [row for row in csv.reader(handle, strict=True) if row] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV in UTF-8 ({error}). Save it again as such.") from error
    header = [column.strip() for column in header]
    missing = [column for column in ("file", "label") if column not in header]
    if missing or len(set(header)) < len(header):
        raise DataError(
            f"{path}: found columns {header}, expected distinct ones with file and label"
            + (f"; {missing} missing. " if missing else ". ")
            + "Correct the first line (separator: comma)."
        )
    ragged = [n for n, row in enumerate(rows, start=1) if len(row) != len(header)]
    if ragged or not rows:
        found = f"other numbers of fields in rows {few(ragged)}" if ragged else "no rows"
        raise DataError(
            f"{path}: found {found}, expected rows of {len(header)} fields after the header. "
            "Complete them; quote fields that hold commas."
        )
    return pd.DataFrame(rows, columns=header, dtype=str)


def _check_paths(table, root, source):
    real = root.resolve()
    for column in ("file", *(mask for mask in MASKS if mask in table)):
        for number, file in enumerate(table[column], start=1):
            if not file and column != "file":
                continue
            problem = None
            if not file or "\0" in file:
                problem = "is blank or no file name"
            elif PurePosixPath(file).is_absolute() or PureWindowsPath(file).is_absolute():
                problem = "is absolute"
            elif ".." in PurePosixPath(file).parts:
                problem = "leaves the data folder by '..'"
            elif not (real / file).resolve().is_relative_to(real):
                problem = "leaves the data folder by a symbolic link"
            if problem:
                raise DataError(
                    f"{source}: {column} of row {number}, {file!r}, {problem}; expected a path "
                    f"inside {root}, relative to it. Move the file there and correct the row."
                )


def _refuse_rows(table, wrong, column, source, expected):
    if wrong.any():
        numbers = np.flatnonzero(wrong) + 1
        raise DataError(
            f"{source}: {column} of rows {few(numbers)}: found "
            f"{few(table.loc[wrong, column].unique())}, expected {expected}. Correct these rows."
        )


def assign_splits(index, *, fractions, seed):
    """Split by patient within each class, or check the split that the index brings.

    Patients of a class (their most frequent label; the first in the alphabet when tied) come in an
    order drawn from `seed` and each goes to the split that lacks most images. The order of the rows
    has no influence.

    Parameters
    ----------
    index : pandas.DataFrame
        Of `read_index`, or the manifest of `lib.image_cache.build`.
    fractions : dict of str to float
        Shares of the images for train, validation and test; positive, of sum 1.
    seed : int
        Seed of the drawing.

    Returns
    -------
    pandas.DataFrame
        The index with ``split`` filled.

    Raises
    ------
    DataError
        On other fractions, a half-filled split column, a patient in two splits, or a class that is
        absent from a split.
    """
    shares = list(fractions.values())
    if set(fractions) != set(SPLITS) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(
            f"fractions: found {fractions}, expected positive shares of {SPLITS} that sum to 1. "
            "Correct them."
        )
    given = index["split"] != ""
    if given.any() and not given.all():
        raise DataError(
            f"split: found {given.sum()} rows with and {(~given).sum()} without a split, expected "
            "all or none. Complete the column or leave it out."
        )
    result = index.copy()
    if not given.any():
        result["split"] = result["patient_id"].map(_draw_splits(index, fractions, seed))
    sides = result.groupby("patient_id")["split"].nunique()
    if (sides > 1).any():
        raise DataError(
            f"split: found patients in two splits: {few(sides.index[sides > 1])}; expected each "
            "in one. Correct the column, or leave it blank to have it drawn."
        )
    for label, group in result.groupby("label"):
        if absent := [split for split in SPLITS if split not in set(group["split"])]:
            raise DataError(
                f"label {label!r}: found {group['patient_id'].nunique()} patients and none in "
                f"{few(absent)}; expected at least {len(SPLITS)}, one for each split. "
                "Add patients, leave the class out, or correct the given split."
            )
    return result


def _draw_splits(index, fractions, seed):
    counts = index.groupby(["patient_id", "label"]).size().rename("images").reset_index()
    counts = counts.sort_values(["patient_id", "images", "label"], ascending=[True, False, True])
    strata = counts.drop_duplicates("patient_id").set_index("patient_id")["label"]
    images = counts.groupby("patient_id")["images"].sum()
    random, splits = np.random.default_rng(seed), {}
    for _, stratum in strata.groupby(strata):
        lacking = {split: fractions[split] * images[stratum.index].sum() for split in SPLITS}
        empty, patients = list(SPLITS), random.permutation(stratum.index.to_numpy(dtype=object))
        for left, patient in zip(range(len(patients), 0, -1), patients, strict=True):
            split = max(empty if left <= len(empty) else SPLITS, key=lacking.get)
            lacking[split] -= images[patient]
            empty = [name for name in empty if name != split]
            splits[patient] = split
    return splits


def check_counts(manifest, *, classes):
    """Count images and patients of each class in each split.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``split``, ``images``, ``patients``; classes in the order given, then splits.

    Raises
    ------
    DataError
        When a class is empty in a split.
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


def few(items, most=5):
    """List the first few items in words, and how many there are, for a message."""
    items = [repr(item) if isinstance(item, str) else str(item) for item in items]
    return ", ".join(items[:most]) + (f" … ({len(items)} in all)" if len(items) > most else "")
