"""Films and masks as memory-mapped arrays, one per size, for which every file is decoded once."""

import errno
import hashlib
import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd

from lib.artefacts import atomic
from lib.collection import DataError, few
from lib.data import MASKS
from lib.films import decode, read_bytes, resize, resize_mask
from lib.pixels import ImageRefused, eight_bit


def build(
    index, root, *, sizes, aspect, folder, views=(), measure=None, workers=None, progress=None
):
    """Decode each film once and write ``images_<size>.npy``, uint8 (n, size, size), per size.

    Memory does not grow with the number of films. The files appear when all of them are complete.

    Parameters
    ----------
    index : pandas.DataFrame
        Of `lib.data.read_index`; its order is kept. Rows with a reason in ``refused`` are not read.
    root : path-like
        Folder to which ``file`` is relative.
    sizes : sequence of int
        Sides in pixels.
    aspect : {"letterbox", "crop", "squash"}
        See `lib.films.resize`.
    folder : path-like
        Where to write; created if need be.
    views : sequence of str
        View positions to take, e.g. PA and AP; films of another known view are rejected. All by
        default.
    measure : callable, optional
        Called as ``measure(film, shown, size)``, see `lib.measures.measure`; what it returns
        becomes further columns.
    workers : int, optional
        Threads; the processors, at most 8, by default. No influence on the result.
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
        When a parameter is wrong, no film can be read, or the disk is full (nothing remains).
    """
    sizes = list(dict.fromkeys(sizes))

    def prepare(row):
        file, refused, view = row
        if refused:
            return refused, None
        try:
            data = read_bytes(Path(root) / file)
            film = decode(data)
            view = view or film.view
            if views and view and view not in views:
                raise ImageRefused(f"another view (found {view}; expected {', '.join(views)})")
            shown = eight_bit(film.grey)
        except ImageRefused as refusal:
            return str(refusal), None
        facts = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": shown.shape[1],
            "height": shown.shape[0],
        }
        more = measure(film, shown, len(data)) if measure else {}
        told = {"view": view, "dicom_patient": film.patient_id}
        return facts | more, [resize(shown, size=size, aspect=aspect) for size in sizes], told

    blank = [""] * len(index)
    view = index["view"].str.strip().str.upper() if "view" in index else blank
    rows = zip(index["file"], index.get("refused", blank), view, strict=True)
    reasons, measured, told = {}, {}, []
    with _growing_arrays(folder, "images", sizes, np.uint8, len(index)) as append:
        for number, (facts, squares, *more) in enumerate(_in_order(prepare, rows, workers)):
            if squares is None:
                reasons[number] = facts
            else:
                append(squares)
                measured[number] = facts
                told += more
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


def _add_headers(manifest, told):
    """Fill in what DICOM headers tell; columns appear only where one does."""
    manifest = manifest.copy()
    if "view" in manifest or (told["view"] != "").any():
        manifest["view"] = told["view"]
    unknown = ~manifest["patient_known"] & (told["dicom_patient"] != "")
    manifest["patient_id"] = manifest["patient_id"].mask(unknown, told["dicom_patient"])
    manifest["patient_known"] |= unknown
    return manifest


def build_masks(manifest, root, *, sizes, aspect, folder):
    """Write ``lungs_<size>.npy`` and ``lesion_<size>.npy``, bool (n, size, size), row by row.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Of `build`. Columns ``lung_mask`` and ``lesion_mask`` name PNG files relative to
        `root`, inside where at least half of the file's maximum; a blank is an all-false mask.
    root, sizes, aspect, folder
        As in `build`.

    Returns
    -------
    pandas.DataFrame
        The manifest with bool columns ``has_lungs`` and ``has_lesion`` (a mask was given), each
        only if its column exists.

    Raises
    ------
    DataError
        When a mask cannot be read or has other proportions than its film, or the disk is full.
    """
    sizes = list(dict.fromkeys(sizes))

    def prepare(row):
        file, width, height = row
        if not file:
            return [np.zeros((size, size), bool) for size in sizes]
        try:
            mask = decode(read_bytes(Path(root) / file)).grey
        except ImageRefused as refusal:
            raise DataError(
                f"{file}: mask refused: {refusal}; expected a PNG of the film's shape. "
                "Replace it or leave its field blank."
            ) from refusal
        if abs(mask.shape[1] * height - mask.shape[0] * width) > 0.01 * mask.shape[1] * height:
            raise DataError(
                f"{file}: found a mask of {mask.shape[1]}x{mask.shape[0]} pixels, expected the "
                f"proportions of its film, {width}x{height}. Export it again with the film."
            )
        mask = mask >= max(1, mask.max() / 2)
        return [resize_mask(mask, size=size, aspect=aspect) for size in sizes]

    result = manifest.copy()
    # The arrays are addressed by `row` like those of the films, also where a row was left out.
    for column in (column for column in MASKS if column in manifest):
        table = manifest.set_index("row")[[column, "width", "height"]]
        table = table.reindex(range(table.index.max() + 1))
        table[column] = table[column].fillna("")
        rows = table.itertuples(index=False, name=None)
        with _growing_arrays(folder, MASKS[column], sizes, bool, len(table)) as append:
            for squares in _in_order(prepare, rows):
                append(squares)
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
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _growing_arrays(folder, name, sizes, dtype, most_rows):
    """Yield ``append(squares)``; the .npy files take their names when the block succeeds.

    Rows are written, not memory-mapped: on a full disk a write raises but a map kills the process.
    """
    paths = [Path(folder) / f"{name}_{size}.npy" for size in sizes]
    needed, rows, handles = most_rows * sum(size**2 for size in sizes), 0, []

    def write_header(handle, size):
        # NumPy pads the header for a growing first axis, so that it can be rewritten in place.
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (rows, size, size)}
        handle.seek(0)
        np.lib.format.write_array_header_1_0(handle, header)

    def append(squares):
        nonlocal rows
        for handle, square in zip(handles, squares, strict=True):
            handle.write(np.ascontiguousarray(square, dtype=dtype))
        rows += 1

    with ExitStack() as stack:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            for path in paths:
                partial = stack.enter_context(atomic(path))
                handles.append(open(partial, "wb"))  # noqa: SIM115 (closed below, errors apart)
            if shutil.disk_usage(folder).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            for handle, size in zip(handles, sizes, strict=True):
                write_header(handle, size)
            yield append
            for handle, size in zip(handles, sizes, strict=True):
                write_header(handle, size)
                handle.close()
        except OSError as error:
            names = ", ".join(str(path) for path in paths)
            there = next(place for place in paths[0].resolve().parents if place.exists())
            free = shutil.disk_usage(there).free
            raise DataError(
                f"{names}: cannot be written ({error.strerror}); found {free} bytes free, expected "
                f"{needed}. Free some space, or choose another folder or fewer sizes."
            ) from error
        finally:
            for handle in handles:
                with suppress(OSError):  # closing flushes, which fails again on a full disk
                    handle.close()
