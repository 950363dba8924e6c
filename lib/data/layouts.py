"""How collections of films lie in folders: of classes, of splits, with masks beside the films."""

import os
import re
from pathlib import Path, PurePosixPath

import pandas as pd

from lib.data.naming import SPLIT_WORDS, meaning, plain, split_of, ways_out
from lib.study.errors import DataError, few

FILMS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".bmp", ".gif", ".webp")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
UNPACK = "It is not unpacked here: do so, e.g. `unzip FILE -d FOLDER`, and name the folder."
JUNK = ("__macosx", "thumbs.db", "desktop.ini", "dicomdir")
# Folders of masks with the names of their films. "masks" are lungs in the COVID-19 Radiography
# Database, the others are named as in QaTa-COV19 and COVID-QU-Ex.
MASK_FOLDERS = dict.fromkeys(("mask", "masks", "lungmask", "lungmasks"), "lung_mask")
MASK_FOLDERS |= dict.fromkeys(
    ("lesionmask", "lesionmasks", "infectionmask", "infectionmasks", "groundtruths"), "lesion_mask"
)


def scan(root, classes, labels, *, others):
    """List the films of class folders, or of split folders with class folders in them.

    Split folders are told by their names: all folders are named like a split ("Train", "Testing"),
    and no class is. Folders named like masks are no films: they become columns of masks.

    Folders that mean no class are listed too if `others`; they are an error otherwise.

    Returns
    -------
    pandas.DataFrame
        ``file`` (posix, relative to `root`), ``label`` (the class that the folder's name means, or
        that name) and, of split folders, ``split``; ``lung_mask`` and ``lesion_mask`` where there
        are such folders. Classes as given, then others; files sorted.

    Raises
    ------
    DataError
        On other folders, films or archives outside the class folders, masks without films, symbolic
        links to folders, and folders that cannot be listed.
    """
    named = {*classes, *labels}
    splits = _split_folders(root, named)
    parts = [
        _class_folders(root / name, root, classes, labels, others).assign(split=split_of(name))
        for name in splits
    ] or [_class_folders(root, root, classes, labels, others)]
    loose = [
        file
        for place in (root, *(root / name for name in splits))
        for name in _folders(place)
        if name not in named and plain(name) in MASK_FOLDERS
        for file in files_below(place / name, root)
    ]
    return _with_masks(pd.concat(parts, ignore_index=True), loose, root, named)


def class_folders(root):
    """Names of the class folders in a folder, or in its split folders, sorted; raises as `scan`."""
    places = [root / name for name in _split_folders(root, ())] or [root]
    names = {name for place in places for name in _folders(place)}
    return sorted(name for name in names if plain(name) not in MASK_FOLDERS)


def _split_folders(root, named):
    """Names of the split folders, in the order of the splits; none if there are others."""
    folders = [name for name in _folders(root) if plain(name) not in MASK_FOLDERS]
    if not all(split_of(name) and name not in named for name in folders):
        return []
    return sorted(folders, key=lambda name: (list(SPLIT_WORDS).index(split_of(name)), name))


def _kept(names):
    return sorted(n for n in names if not n.startswith(".") and n.casefold() not in JUNK)


def _folders(root):
    """Names of the folders in `root`, after a look at what lies beside them."""
    try:
        entries = [root / name for name in _kept(os.listdir(root))]
    except OSError as error:
        raise _unlisted(root, error) from error
    for kind, suffixes, advice in (
        ("archives", ARCHIVES, UNPACK),
        ("films outside the class folders", FILMS, "Move them into a class folder, or list them."),
    ):
        found = [e.name for e in entries if not e.is_dir() and e.suffix.lower() in suffixes]
        if found:
            raise DataError(f"{root}: found {kind}: {few(found)}; expected class folders. {advice}")
    return [entry.name for entry in entries if entry.is_dir()]


def _class_folders(folder, root, classes, labels, others):
    mean = meaning(classes, labels)
    names = [n for n in _folders(folder) if mean(n) in classes or plain(n) not in MASK_FOLDERS]
    unknown = [name for name in names if mean(name) not in classes]
    if unknown and not others:
        raise DataError(
            f"{folder}: found folders {few(unknown)}, expected only {classes}. "
            f"{ways_out(names, classes)} Or describe the films in a .csv manifest."
        )
    rank = {name: number for number, name in enumerate(classes)}
    names.sort(key=lambda name: (rank.get(mean(name), len(rank)), name))
    rows = [(file, mean(name)) for name in names for file in files_below(folder / name, root)]
    return pd.DataFrame(rows, columns=["file", "label"], dtype=str)


def files_below(folder, root):
    """Every file below, sorted; a folder named like a film too, so that it is not overlooked."""
    if folder.is_symlink():
        raise _linked(folder)
    found = []

    def refuse(error):
        raise _unlisted(error.filename, error) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = _kept(folders)
        for name in folders:
            if Path(place, name).is_symlink():
                raise _linked(Path(place, name))
        films = [name for name in folders if Path(name).suffix.lower() in FILMS]
        found += [Path(place, name) for name in _kept((*files, *films))]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _with_masks(table, loose, root, named):
    """Take the files of mask folders out of the films, and put them into columns beside these."""
    masks, places = {}, {}
    for file in (*table["file"], *loose):
        *folders, name = PurePosixPath(file).parts
        kinds = [None if part in named else MASK_FOLDERS.get(plain(part)) for part in folders]
        if any(kinds):
            at = next(number for number, kind in enumerate(kinds) if kind)
            place = "/".join(folders[: at + 1])
            places[file] = place
            # Beside the folder of masks lies that of the films, or the films themselves.
            key = kinds[at], (*folders[:at], *folders[at + 1 :], _stem(name))
            if key in masks:
                raise DataError(
                    f"{root}: found two masks for one film, {masks[key]!r} and {file!r}; expected "
                    "one. Leave one there, or write a .csv manifest with a column lung_mask."
                )
            masks[key] = file
    films = table[~table["file"].isin(places)].reset_index(drop=True)
    for kind in sorted({kind for kind, _ in masks}, reverse=True):
        films[kind] = [_mask_of(file, kind, masks) for file in films["file"]]
    used = {places[file] for kind in films if kind in MASK_FOLDERS.values()
            for file in films[kind] if file}  # fmt: skip
    if alone := sorted(set(places.values()) - used):
        raise DataError(
            f"{root}: found folders named like masks, {few(alone)}, without films of the same names"
            " beside them; expected masks of the films. Rename them if they hold films, or move "
            "them away if they do not."
        )
    return films


def _mask_of(file, kind, masks):
    *folders, name = PurePosixPath(file).parts
    ways = [folders, *((*folders[:n], *folders[n + 1 :]) for n in range(len(folders)))]
    found = (masks.get((kind, (*way, _stem(name)))) for way in ways)
    return next((mask for mask in found if mask), "")


def _stem(name):
    return re.sub(r"[ _-]mask$", "", PurePosixPath(name).stem, flags=re.IGNORECASE)


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
