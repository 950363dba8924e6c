"""Films and masks as memory-mapped arrays, one per size, for which every file is decoded once."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.films.decode import decode, read_bytes
from lib.data.films.film import ImageRefused, eight_bit
from lib.data.films.treat import (
    apply,
    apply_to_mask,
    check_masks,
    lungs_needed,
    read_mask,
    resize,
    resize_mask,
)
from lib.data.growing_arrays import growing_arrays
from lib.data.index import MASKS
from lib.study.errors import DataError, few


def build(
    index, root, *, sizes, aspect, folder, remedies=None, views=(), measure=None, workers=None,
    progress=None,
):  # fmt: skip
    """Decode each film once and write ``images_<size>.npy``, uint8 (n, size, size), per size.

    Memory does not grow with the number of films. The files appear when all of them are complete;
    a run that was interrupted is taken up where it stopped.

    Parameters
    ----------
    index : pandas.DataFrame
        Of `index.read_index`; its order is kept. Rows with a reason in ``refused`` are not read.
    root : path-like
        Folder to which ``file`` is relative.
    sizes : sequence of int
        Sides in pixels.
    aspect : {"letterbox", "crop", "squash"}
        See `lib.data.films.treat.resize`.
    folder : path-like
        Where to write; created if need be.
    remedies : lib.study.data_params.Remedies, optional
        What is done to each film first, see `lib.data.films.treat.apply`. Nothing by default.
    views : sequence of str
        View positions to take, e.g. PA and AP; films of another known view are rejected. All by
        default.
    measure : callable, optional
        Called as ``measure(film, shown, size, treated)``, see `audit.measures.measure`; what it
        returns becomes further columns.
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
        DICOM files fill in ``view``, and ``patient_id`` where it was not known.

    Raises
    ------
    DataError
        When a parameter is wrong, no film can be read, a region control has no masks or a mask is
        wrong, or the disk is full (nothing remains).
    """
    sizes = list(dict.fromkeys(sizes))
    active = remedies is not None and remedies.active
    if active:
        check_masks(index, remedies)

    def prepare(row):
        file, refused, view, mask = row
        if refused:
            return (refused, None, None), None
        try:
            data = read_bytes(Path(root) / file)
            digest = hashlib.sha256(data).hexdigest()  # now, while the bytes are at hand
            film = decode(data)
            view = view or film.view
            if views and view and view not in views:
                raise ImageRefused(f"another view (found {view}; expected {', '.join(views)})")
            shown = eight_bit(film.grey)
            treated = shown
            if active:
                lungs = lungs_needed(root, mask, film.grey.shape, remedies)
                treated = apply(film.grey, remedies, lungs=lungs)
        except ImageRefused as refusal:
            return (str(refusal), None, None), None
        facts = {
            "sha256": digest,
            "width": shown.shape[1],
            "height": shown.shape[0],
        }
        more = measure(film, shown, len(data), treated) if measure else {}
        header = {"view": view, "dicom_patient": film.patient_id}
        squares = [resize(treated, size=size, aspect=aspect) for size in sizes]
        return ("", facts | more, header), squares

    blank = [""] * len(index)
    view = index["view"].str.strip().str.upper() if "view" in index else blank
    refused, masks = (index.get(column, blank) for column in ("refused", "lung_mask"))
    rows = zip(index["file"], refused, view, masks, strict=True)
    reasons, measured, told = {}, {}, []
    key = _key(index, root, sizes, aspect, remedies, views, measure)
    with growing_arrays(folder, "images", sizes, np.uint8, most_rows=len(index), key=key) as arrays:
        fresh = _in_order(prepare, islice(rows, len(arrays.done), None), workers)
        for number, (entry, squares) in enumerate(
            chain(((entry, ()) for entry in arrays.done), fresh)
        ):
            if number >= len(arrays.done):
                arrays.add(squares, entry)
            reason, facts, header = entry
            if reason:
                reasons[number] = reason
            else:
                measured[number] = facts
                told.append(header)
            if progress is not None:
                progress(number + 1, len(index))
        if not measured:
            found = few(dict.fromkeys(reasons.values()))
            raise DataError(
                f"{root}: none of {len(index)} files could be read, found {found}; expected PNG, "
                "JPEG, TIFF or DICOM films. Check the data folder."
            )
    manifest = (
        index.iloc[list(measured)].reset_index(drop=True).drop(columns="refused", errors="ignore")
    )
    manifest = _add_headers(manifest, pd.DataFrame(told))
    manifest = manifest.assign(**pd.DataFrame(list(measured.values())), row=range(len(measured)))
    rejected = index.iloc[list(reasons)][["file", "label"]].reset_index(drop=True)
    return manifest, rejected.assign(reason=pd.Series(list(reasons.values()), dtype=str))


def _key(index, root, *settings):
    """Hash of all that decides about the cache: the settings, and the files as they lie there."""
    *settings, measure = settings
    columns = [c for c in ("file", "refused", "view", "lung_mask") if c in index]
    facts = [str(root), getattr(measure, "__qualname__", None), *map(repr, settings)]
    facts += [[column, index[column].tolist()] for column in columns]
    for file in chain(index["file"], index.get("lung_mask", ())):
        try:
            stat = os.stat(Path(root) / file)
            facts.append([stat.st_size, stat.st_mtime_ns])
        except (OSError, ValueError):  # none there, or no file name
            facts.append(None)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _add_headers(manifest, told):
    """Fill in what DICOM headers tell; columns appear only where one does."""
    manifest = manifest.copy()
    if "view" in manifest or (told["view"] != "").any():
        manifest["view"] = told["view"]
    unknown = ~manifest["patient_known"] & (told["dicom_patient"] != "")
    manifest["patient_id"] = manifest["patient_id"].mask(unknown, told["dicom_patient"])
    manifest["patient_known"] |= unknown
    return manifest


def build_masks(manifest, root, *, sizes, aspect, folder, remedies=None):
    """Write ``lungs_<size>.npy`` and the like, bool (n, size, size), row by row.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Of `build`. The columns of `lib.data.index.MASKS` that it has name PNG files relative to
        `root`, inside where at least half of the file's maximum; a blank is an all-false mask.
    root, sizes, aspect, folder, remedies
        As in `build`: masks follow the geometry of their films.

    Returns
    -------
    pandas.DataFrame
        The manifest with bool columns ``has_lungs``, ``has_lesion`` and ``has_marker`` (a mask was
        given), each only if its column exists.

    Raises
    ------
    DataError
        When a mask cannot be read or has other proportions than its film, or the disk is full.
    """
    sizes = list(dict.fromkeys(sizes))
    active = remedies is not None and remedies.active

    def prepare(row):
        file, width, height = row
        if not file:
            return [np.zeros((size, size), bool) for size in sizes]
        mask = read_mask(root, file, width=width, height=height)
        if active:
            mask = apply_to_mask(mask, remedies)
        return [resize_mask(mask, size=size, aspect=aspect) for size in sizes]

    result = manifest.copy()
    # The arrays are addressed by `row` like those of the films, also where a row was left out.
    for column in (column for column in MASKS if column in manifest):
        table = manifest.set_index("row")[[column, "width", "height"]]
        table = table.reindex(range(table.index.max() + 1))
        table[column] = table[column].fillna("")
        rows = table.itertuples(index=False, name=None)
        with growing_arrays(folder, MASKS[column], sizes, bool, most_rows=len(table)) as arrays:
            for squares in _in_order(prepare, rows):
                arrays.add(squares)
        result[f"has_{MASKS[column]}"] = manifest[column] != ""
    return result


def load(path):
    """Memory-map a cache of films (uint8) or masks (bool), read-only, (n, size, size).

    Raises
    ------
    DataError
        When the file is missing, damaged or holds something else.
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


def lesion_masks(folder: Path, rows: Sequence[int], *, size: int) -> np.ndarray | None:
    """Lesion masks of some films, or None where the data have none."""
    return _masks(folder / f"lesion_{size}.npy", rows)


def lung_masks(folder: Path, rows: Sequence[int], *, size: int) -> np.ndarray | None:
    """Lung masks of some films, or None where the data have none."""
    return _masks(folder / f"lungs_{size}.npy", rows)


def marker_masks(folder: Path, rows: Sequence[int], *, size: int) -> np.ndarray | None:
    """Where the marker of a planted shortcut lies, or None where the data have none."""
    return _masks(folder / f"marker_{size}.npy", rows)


def _masks(path: Path, rows: Sequence[int]) -> np.ndarray | None:
    return np.load(path, mmap_mode="r", allow_pickle=False)[rows] if path.exists() else None
