"""Read the index of a collection of chest films and check it.

A collection is a folder of class folders (see `layouts`) or a table (see `tables`). All become the
same *index*, one row per image; `data.cache` decodes the films that it lists, `data.splits` deals
them to training, validation and test.
"""

import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from lib.data import layouts, tables
from lib.data.films.film import MOST_REJECTED
from lib.data.lookup import find_files, is_there, missing_files
from lib.data.naming import check_classes, meaning, plain, split_of, to_type, ways_out
from lib.data.tables import MASKS
from lib.study.errors import DataError, few
from lib.study.names import SPLITS

TABLES = (".csv", ".tsv")
# What spreadsheets and anonymisers write for "not known"; taken literally it would be one patient
# of many films.
UNKNOWN_PATIENT = ("", "na", "n/a", "nan", "none", "null", "unknown")
UNKNOWN_PATIENT += ("anon", "anonymous", "anonymized", "anonymised", "deidentified")


def read_index(path, *, classes, labels=None, other_labels="error"):
    """Index a folder of class folders, a manifest or the table of a well-known collection.

    Parameters
    ----------
    path : path-like
        A folder whose subfolders bear the names of the classes (searched in depth; names that start
        with a dot are skipped), a folder of splits with such folders, or a ``.csv`` or ``.tsv`` in
        UTF-8 with columns ``file`` (relative to its folder), ``label`` and optionally ``image_id``,
        ``patient_id``, ``split``, ``view`` and any others; or one of `tables.PUBLISHED`.
    classes : sequence of str
        Every label allowed; each must occur.
    labels : dict of str to str, optional
        Class of what the collection calls otherwise, by folder or label. Names are compared as
        `naming.plain` says.
    other_labels : {"error", "reject"}
        Whether other labels are an error, or their films listed as rejected.

    Returns
    -------
    pandas.DataFrame
        Columns ``image_id`` (unique; the file where none is given), ``file`` (posix), ``label``,
        ``patient_id`` (the image_id where unknown: each image its own patient), ``patient_known``
        (bool), ``split`` ("" where not given), then the manifest's other columns, as text; and, if
        films are to be rejected, ``refused`` with the reason or "". Rows in the manifest's order;
        for a folder, classes as given and files sorted.

    Raises
    ------
    DataError
        On anything missing (but less than half of the films), unknown, duplicated, or on a path
        that leaves the data folder.
    """
    path, classes, labels = Path(path), list(classes), dict(labels or {})
    check_classes(classes, labels)
    root, table = _read(path, classes, labels, other_labels)
    extra = [column for column in table if column not in ("file", "label")]
    table = table.assign(**{c: "" for c in ("image_id", "patient_id", "split") if c not in extra})
    for column in ("image_id", "label", "patient_id", "split"):
        table[column] = table[column].str.strip()
    table["label"] = table["label"].map(meaning(classes, labels))
    _check_paths(table, root, path)
    table["file"] = [PurePosixPath(file).as_posix() for file in table["file"]]
    table["image_id"] = table["image_id"].where(table["image_id"] != "", table["file"])
    table["patient_known"] = known_patients(table["patient_id"])
    table["patient_id"] = table["patient_id"].where(table["patient_known"], table["image_id"])
    table["split"] = [name if (s := split_of(name)) is None else s for name in table["split"]]

    other = ~table["label"].isin(classes)
    if other_labels == "error":
        advice = ways_out(set(table["label"]), classes)
        _refuse_rows(table, other, "label", path, f"one of {classes}", advice)
    elif other.any():
        table["refused"] = [f"no class of the study (found {x!r})" for x in table["label"]]
        table["refused"] = table["refused"].where(other, "")
    allowed = f"one of {list(SPLITS)} or blank"
    _refuse_rows(table, ~table["split"].isin((*SPLITS, "")), "split", path, allowed)
    for column in ("file", "image_id"):
        _refuse_rows(table, table[column].duplicated(keep=False), column, path, "each once")
    if empty := [name for name in classes if not (table["label"] == name).any()]:
        raise DataError(
            f"{path}: no image of class {few(empty)}; expected some of each of {classes}. "
            f"{ways_out(set(table['label']), classes)}"
        )
    missing = [file for file in table["file"] if not is_there(file, root)]
    if len(missing) > MOST_REJECTED * len(table):
        raise missing_files(path, missing, root, total=len(table))
    first = ["image_id", "file", "label", "patient_id", "patient_known", "split"]
    return table[first + [column for column in table if column not in first]]


def class_names(path, labels=None):
    """Sorted classes of a collection whose classes nobody named: its folders, or its labels.

    Sorted names are also the order of outputs of models trained by
    ``keras.utils.image_dataset_from_directory``. Parameters as of `read_index`. A collection that
    cannot be read, or whose films have several labels (a NIH-style table), is a DataError.
    """
    path = Path(path)
    if path.is_dir():
        found = layouts.class_folders(path)
    elif path.is_file() and path.suffix.lower() in TABLES:
        found = tables.read_table(path)["label"].str.strip()
        if found.str.contains("|", regex=False).any():
            names = sorted({name for text in found for name in text.split("|") if name})
            raise DataError(
                f"{path}: found a table of findings, several to a film; expected to be told the "
                f"classes. Name them, e.g. {to_type('classes', names[:2])}, of {few(names, 20)}, "
                f"and leave out films of others: {to_type('data.other_labels', 'reject')}."
            )
    else:
        raise _unreadable(path)
    mean, names = meaning((), labels or {}), {}
    for name in sorted(map(mean, found)):
        names.setdefault(plain(name), name)  # Train/Normal and Test/NORMAL are one class
    return tuple(sorted(names.values()))


def known_patients(ids):
    """Which of a Series of ids are those of patients, bool; one id for all films is none."""
    known = ~ids.str.casefold().isin(UNKNOWN_PATIENT)
    return known & (not known.all() or ids.nunique() > 1 or len(ids) == 1)


def _read(path, classes, labels, other_labels):
    """The folder that paths are relative to, and the table as it is."""
    if path.is_dir():
        return path, layouts.scan(path, classes, labels, others=other_labels == "reject")
    if path.is_file() and zipfile.is_zipfile(path):
        raise DataError(f"{path}: found a ZIP archive, expected a folder. {layouts.UNPACK}")
    if path.is_file() and path.suffix.lower() in TABLES:
        table = tables.read_table(path, classes, labels)
        for column in ("file", *(mask for mask in MASKS if mask in table)):
            table[column] = find_files(table[column], path.parent)
        return path.parent, table
    raise _unreadable(path)


def _unreadable(path):
    found = "something else" if path.exists() else "nothing"
    return DataError(
        f"{path}: found {found}, expected a folder of class folders or a .csv manifest. "
        "Check the path, or write a manifest with columns file,label."
    )


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
            elif file != file.encode(errors="replace").decode():
                problem = "has a name that is not UTF-8 and cannot be written to a table"
            elif not _target(real / file).is_relative_to(real):
                problem = "leaves the data folder by a symbolic link"
            if problem:
                raise DataError(
                    f"{source}: {column} of row {number}, {file!r}, {problem}; expected a path "
                    f"inside {root}, relative to it. Move the file there and correct the row."
                )


def _target(path):
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link to itself, a name too long: no film, and said later
        return path


def _refuse_rows(table, wrong, column, source, expected, advice="Correct these rows."):
    if wrong.any():
        numbers = np.flatnonzero(wrong) + 1
        raise DataError(
            f"{source}: {column} of rows {few(numbers)}: found "
            f"{few(table.loc[wrong, column].unique())}, expected {expected}. {advice}"
        )
