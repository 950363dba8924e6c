"""How collections of films lie on disks: class folders, split folders, a NIH-style table."""

import os
from pathlib import Path, PurePosixPath

import pandas as pd

from lib.study.errors import DataError, few

SPLIT_FOLDERS = {"train": "train", "test": "test"}
SPLIT_FOLDERS |= dict.fromkeys(("val", "valid", "validation"), "validation")
FILMS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".bmp", ".gif", ".webp")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
UNPACK = "It is not unpacked here: do so, e.g. `unzip FILE -d FOLDER`, and name the folder."
# Columns of NIH ChestX-ray14's Data_Entry_2017.csv and of the tables made like it.
NIH = {"Image Index": "file", "Finding Labels": "label", "Patient ID": "patient_id"}
NIH_MORE = {"View Position": "view", "Patient Age": "age"}
NIH_MORE |= {"Patient Gender": "sex", "Patient Sex": "sex"}


def scan(root, classes, labels, *, others):
    """List the files of class folders, or of ``train``, ``val`` and ``test`` of class folders.

    Split folders are told by their names: all folders are named train, val, valid, validation or
    test, and no class is.

    Parameters
    ----------
    labels : dict of str to str
        Class of a folder of another name.
    others : bool
        Whether folders that mean no class are listed too; they are an error otherwise.

    Returns
    -------
    pandas.DataFrame
        ``file`` (posix, relative to `root`), ``label`` (the folder's name) and, of split folders,
        ``split``. Classes as given, then others; files sorted.

    Raises
    ------
    DataError
        On other folders, films or archives outside the class folders, symbolic links to folders,
        and folders that cannot be listed.
    """
    folders = _folders(root)
    named = {*classes, *labels}
    if folders and set(folders) <= set(SPLIT_FOLDERS) and not named & set(folders):
        parts = [
            _class_folders(root / name, root, classes, labels, others).assign(
                split=SPLIT_FOLDERS[name]
            )
            for name in sorted(folders, key=list(SPLIT_FOLDERS).index)
        ]
        return pd.concat(parts, ignore_index=True)
    return _class_folders(root, root, classes, labels, others)


def class_folders(root):
    """Names of the class folders in a folder, or in its split folders, sorted; raises as `scan`."""
    folders = _folders(root)
    if folders and set(folders) <= set(SPLIT_FOLDERS):
        return sorted({name for split in folders for name in _folders(root / split)})
    return folders


def _folders(root):
    """Names of the folders in `root`, after a look at what lies beside them."""
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise _unlisted(root, error) from error
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [entry.name for entry in entries if entry.is_dir()]
    for kind, suffixes, advice in (
        ("archives", ARCHIVES, UNPACK),
        ("films outside the class folders", FILMS, "Move them into a class folder, or list them."),
    ):
        found = [e.name for e in entries if not e.is_dir() and e.suffix.lower() in suffixes]
        if found:
            raise DataError(f"{root}: found {kind}: {few(found)}; expected class folders. {advice}")
    return folders


def _class_folders(folder, root, classes, labels, others):
    names = _folders(folder)
    unknown = [name for name in names if labels.get(name, name) not in classes]
    if unknown and not others:
        raise DataError(
            f"{folder}: found folders {few(unknown)}, expected only {classes}. Add them to the "
            "classes, name their class in data.labels, move them away, leave them out by "
            "data.other_labels=reject, or describe the films in a .csv manifest."
        )
    rank = {name: number for number, name in enumerate(classes)}
    names.sort(key=lambda name: (rank.get(labels.get(name, name), len(rank)), name))
    rows = [
        (file, labels.get(name, name)) for name in names for file in _files(folder / name, root)
    ]
    return pd.DataFrame(rows, columns=["file", "label"], dtype=str)


def _files(folder, root):
    """Every file below, sorted; a folder named like a film too, so that it is not overlooked."""
    if folder.is_symlink():
        raise _linked(folder)
    found = []

    def refuse(error):
        raise _unlisted(error.filename, error) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if Path(place, name).is_symlink():
                raise _linked(Path(place, name))
        films = [name for name in folders if Path(name).suffix.lower() in FILMS]
        found += [Path(place, n) for n in (*files, *films) if not n.startswith(".")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _linked(path):
    return DataError(
        f"{path}: found a symbolic link to a folder, which is not searched; expected "
        "files and folders. Copy the folder here or write a .csv manifest."
    )


def _unlisted(path, error):
    return DataError(
        f"{path}: cannot be listed ({error.strerror}); expected a readable folder. Correct its "
        "permissions, so that no film is overlooked."
    )


def is_nih(header):
    """Whether the columns of a table are those of NIH ChestX-ray14."""
    return {"Image Index", "Finding Labels"} <= set(header)


def from_nih(table, root, classes, labels):
    """Bring a NIH-style table to the columns of a manifest.

    A film of several findings has a label only if all of them mean one class; "No Finding" means
    "normal" where that is a class and nothing else was said. Names of classes are compared without
    case, with blanks for underscores.

    Parameters
    ----------
    table : pandas.DataFrame
        Text columns of NIH, as read.
    root : pathlib.Path
        Folder of the table; films are looked up by name in it and below.
    labels : dict of str to str
        Class of a finding.

    Returns
    -------
    pandas.DataFrame
        ``image_id``, ``file``, ``label`` (the findings as they are where they mean no class),
        ``patient_id``, and ``view``, ``age``, ``sex`` where given. Other columns are dropped.

    Raises
    ------
    DataError
        When a name is found in two folders.
    """
    meaning = {_plain(name): name for name in classes}
    if "normal" in classes:
        meaning.setdefault(_plain("No Finding"), "normal")
    meaning |= {_plain(name): label for name, label in labels.items()}

    def label(findings):
        meant = {meaning.get(_plain(finding)) for finding in findings.split("|")}
        return meant.pop() if len(meant) == 1 and None not in meant else findings

    columns = {old: new for old, new in (NIH | NIH_MORE).items() if old in table}
    result = table[list(columns)].rename(columns=columns)
    result.insert(0, "image_id", result["file"])
    result["label"] = result["label"].map(label)
    if not all((root / file).exists() for file in result["file"].head(1) if "\0" not in file):
        result["file"] = _look_up(result["file"], root)
    return result


def _plain(name):
    return name.strip().casefold().replace("_", " ")


def _look_up(names, root):
    places = {}
    for file in _files(root, root):
        places.setdefault(PurePosixPath(file).name, []).append(file)
    for name in names:
        if len(found := places.get(name, [])) > 1:
            raise DataError(
                f"{root}: found {name!r} in {few(found)}; expected one film of that name below "
                "the table. Remove the others, or write a manifest with paths."
            )
    return [places.get(name, [name])[0] for name in names]
