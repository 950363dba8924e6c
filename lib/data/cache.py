"""Films and masks as memory-mapped arrays, one per size, for which every file is decoded once."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.films.film import MOST_REJECTED, ImageRefused
from lib.data.films.squares import ANOTHER_VIEW, Squares
from lib.data.films.treat import check_masks
from lib.data.films.windowing import BURNED_IN
from lib.data.growing_arrays import growing_arrays
from lib.data.index import known_patients
from lib.data.tables import MASKS
from lib.study.artefacts import read_array
from lib.study.errors import DataError, few


def build(
    index, root, *, sizes, aspect, folder, remedies=None, views=(), measure=None, shareable=False,
    workers=None, progress=None,
):  # fmt: skip
    """Decode each film once and write ``images_<size>.npy``, uint8 (n, size, size), per size.

    Memory does not grow with the number of films. The files appear when all of them are complete;
    a run that was interrupted is taken up where it stopped.

    Parameters
    ----------
    index : pandas.DataFrame
        Of `index.read_index`; its order is kept. Rows with a reason in ``refused`` are not read.
    root, sizes, aspect, remedies, views, measure
        As `lib.data.films.squares.Squares`. The values of `measure` become further columns.
    folder : path-like
        Where to write; created if need be.
    shareable : bool
        Whether the films will be shown: none may then have text burned in.
    workers : int, optional
        Threads; one more than processors, at most 9, by default, because a thread that reads a file
        leaves its processor idle; more disturb each other's caches. No influence on the result.
    progress : callable, optional
        Called as ``progress(done, total)`` after each film.

    Returns
    -------
    manifest, rejected : pandas.DataFrame
        Accepted rows with ``sha256`` of the file, ``width``, ``height`` as read (these replace
        columns of the same name) and ``row`` in the arrays; and ``file``, ``label``, ``reason``.
        DICOM files fill in ``view``, and ``patient_id`` where it was not known; ``remarks``, where
        any is made, are those of `lib.data.films.film.Film`, with semicolons.

    Raises
    ------
    DataError
        When less than half of the files can be read, films to be shown say that text is burned in,
        masks are missing or wrong, or the disk is full (nothing remains).
    """
    how = Squares(Path(root), list(dict.fromkeys(sizes)), aspect, remedies, views, measure)
    if how.treated:
        check_masks(index, remedies)

    def prepare(row):
        file, refused, view, mask = row
        if refused:
            return (refused, None, None), None
        try:
            facts, header, squares = how.of_film(file, view=view, lung_mask=mask)
        except ImageRefused as refusal:
            return (str(refusal), None, None), None
        return ("", facts, header), squares

    blank = [""] * len(index)
    view = index["view"].str.strip().str.upper() if "view" in index else blank
    refused, masks = (index.get(column, blank) for column in ("refused", "lung_mask"))
    rows = zip(index["file"], refused, view, masks, strict=True)

    def entries(arrays):
        """Of each film why it was refused, facts and header; new squares go to the arrays."""
        yield from arrays.done
        for entry, squares in _in_order(prepare, islice(rows, len(arrays.done), None), workers):
            arrays.add(squares, entry)
            yield entry

    told = []
    with growing_arrays(
        folder, "images", how.sizes, np.uint8, most_rows=len(index), key=_key(index, how)
    ) as arrays:
        for entry in entries(arrays):
            told.append(entry)
            if progress is not None:
                progress(len(told), len(index))
        table = pd.DataFrame(told, index.index, ["reason", "facts", "header"])
        _refuse_many(root, index, table["reason"])
        good = table["reason"] == ""
        headers = pd.DataFrame(table.loc[good, "header"].tolist())
        if shareable:
            _refuse_burned_in(index.loc[good, "file"], headers["remarks"])
    manifest = index[good].drop(columns="refused", errors="ignore").reset_index(drop=True)
    facts = pd.DataFrame(table.loc[good, "facts"].tolist())
    manifest = _add_headers(manifest, headers).assign(**facts, row=range(len(facts)))
    rejected = index.loc[~good, ["file", "label"]].assign(reason=table.loc[~good, "reason"])
    return manifest, rejected.reset_index(drop=True)


def _refuse_many(root, index, reasons):
    """Stop where something is wrong with the collection and not with single films."""
    wanted = index.get("refused", pd.Series("", index.index)) == ""
    asked = (reasons == "") | reasons.str.startswith(ANOTHER_VIEW)
    bad = reasons[wanted & ~asked].str.split(" (", regex=False).str[0]
    none = (reasons != "").all()
    if none or len(bad) > MOST_REJECTED * wanted.sum():
        found = few([f"{reason} ({n})" for reason, n in bad.value_counts().items()])
        number = "none" if none else f"only {wanted.sum() - len(bad)}"
        raise DataError(
            f"{root}: {number} of {len(index)} files could be read, found "
            f"{found or few(dict.fromkeys(reasons))}; expected PNG, JPEG, TIFF or DICOM films, at "
            f"most {MOST_REJECTED:.0%} of them unusable. Check the data folder, or list the films "
            "that you mean in a .csv manifest."
        )


def _refuse_burned_in(files, remarks):
    """Stop before a film is shown that may bear a name."""
    names = files[remarks.str.contains(BURNED_IN, regex=False).to_numpy()].tolist()
    if names:
        raise DataError(
            f"data.shareable = true: {len(names)} of {len(files)} films say that text is burned "
            f"in ({few(names)}); expected none among films that are shown, because names may be "
            "legible. Set data.shareable=false, or take these films out of the collection."
        )


def _key(index, how):
    """Hash of all that decides about the cache: the settings, and the files as they lie there."""
    columns = [c for c in ("file", "refused", "view", "lung_mask") if c in index]
    facts = [str(how.root), getattr(how.measure, "__qualname__", None)]
    facts += [repr(setting) for setting in (how.sizes, how.aspect, how.remedies, how.views)]
    facts += [[column, index[column].tolist()] for column in columns]
    for file in chain(index["file"], index.get("lung_mask", ())):
        try:
            stat = os.stat(how.root / file)
            facts.append([stat.st_size, stat.st_mtime_ns])
        except (OSError, ValueError):  # none there, or no file name
            facts.append(None)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _add_headers(manifest, told):
    """Fill in what DICOM headers tell; columns appear only where one does."""
    manifest = manifest.copy()
    if "view" in manifest or (told["view"] != "").any():
        manifest["view"] = told["view"]
    if (told["remarks"] != "").any():
        manifest["remarks"] = told["remarks"]
    unknown = ~manifest["patient_known"] & known_patients(told["dicom_patient"])
    manifest["patient_id"] = manifest["patient_id"].mask(unknown, told["dicom_patient"])
    manifest["patient_known"] |= unknown
    return manifest


def build_masks(manifest, root, *, sizes, aspect, folder, remedies=None):
    """Write ``lungs_<size>.npy`` and the like, bool (n, size, size), row by row.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Of `build`. The columns of `lib.data.tables.MASKS` that it has name PNG files relative to
        `root`, see `lib.data.films.squares.Squares.of_mask`.
    root, sizes, aspect, folder, remedies
        As in `build`.

    Returns
    -------
    pandas.DataFrame
        The manifest with bool columns ``has_lungs``, ``has_lesion`` and ``has_marker`` (a mask was
        given), each only if its column exists.

    Raises
    ------
    DataError
        If a mask cannot be read or has not the proportions of its film.
    """
    how = Squares(Path(root), list(dict.fromkeys(sizes)), aspect, remedies)

    def prepare(row):
        file, width, height = row
        return how.of_mask(file, width=width, height=height)

    result = manifest.copy()
    # The arrays are addressed by `row` like those of the films, also where a row was left out.
    for column in (column for column in MASKS if column in manifest):
        table = manifest.set_index("row")[[column, "width", "height"]]
        table = table.reindex(range(table.index.max() + 1))
        table[column] = table[column].fillna("")
        rows = table.itertuples(index=False, name=None)
        with growing_arrays(folder, MASKS[column], how.sizes, bool, most_rows=len(table)) as arrays:
            for squares in _in_order(prepare, rows):
                arrays.add(squares)
        result[f"has_{MASKS[column]}"] = manifest[column] != ""
    return result


def load(path):
    """Memory-map a cache of films (uint8) or masks (bool), read-only, (n, size, size).

    A file that is missing, damaged or something else is a DataError.
    """
    try:
        cache = np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects
        found = f"{cache.dtype} {cache.shape}"
    except (OSError, ValueError) as error:
        cache, found = None, str(error)
    if cache is None or cache.dtype not in (np.uint8, bool) or cache.ndim != 3:
        raise DataError(
            f"{path}: found {found}, expected an .npy file of uint8 or bool (n, size, size). "
            "Prepare the data again."
        )
    return cache


def _in_order(function, items, workers=None):
    """Map in threads, in order, with a few results in memory only."""
    workers = min(8, os.cpu_count() or 1) + 1 if workers is None else workers
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def film_rows(manifest: pd.DataFrame) -> Sequence[int]:
    """Rows of the test films in the caches, in the order of the maps."""
    return manifest.loc[manifest["split"] == "test", "row"].to_numpy()


def _masks(part: str, folder: Path, rows: Sequence[int], *, size: int) -> np.ndarray | None:
    """Masks of some films, bool (n, size, size), or None where the data have none."""
    path = folder / f"{part}_{size}.npy"
    return read_array(path)[rows] if path.exists() else None


lesion_masks, lung_masks, marker_masks = (
    partial(_masks, part) for part in ("lesion", "lungs", "marker")
)
"""Each of a folder, rows and the size; the marker is that of a planted shortcut."""
