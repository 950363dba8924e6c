"""Arrays that grow row by row on disk, take their names when complete, and survive an interruption.

Rows are written, not memory-mapped: on a full disk a write raises but a map kills the process. What
a killed run has written is found again by the run that has the same key, with a journal that says
what is in it.
"""

import errno
import json
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lib.study.errors import DataError

ROWS_AT_RISK = 64
"""After so many entries they are handed to the operating system, which outlives the process."""
BUFFER = 2**21  # bytes: few long writes take a tenth of the time of many short ones


class Rows:
    """Where to append; ``done`` are the entries that an earlier, interrupted run gave to `add`."""

    def __init__(self, handles, sizes, dtype, done):
        self.handles, self.sizes, self.dtype, self.journal = handles, sizes, dtype, None
        self.count = sum(squares for squares, _ in done)
        self.done = [entry for _, entry in done]
        self._lines = []

    def add(self, squares, entry=None):
        """Append a row to every array, or none if `squares` is None, and note the entry (JSON)."""
        for handle, square in zip(self.handles, squares or [], strict=False):
            handle.write(np.ascontiguousarray(square, dtype=self.dtype))
        self.count += squares is not None
        if self.journal is not None:
            self._lines.append(_line(squares is not None, entry))
            if len(self._lines) >= ROWS_AT_RISK:
                self.flush()

    def flush(self):
        """Hand all to the operating system: the journal last, since it vouches for the rows."""
        for handle in self.handles:
            handle.flush()
        if self.journal is not None:
            self.journal.write(b"".join(self._lines))
            self.journal.flush()
        self._lines = []

    def write_headers(self):
        """Write the headers for the rows that there are, and leave the place at the first row."""
        for handle, size in zip(self.handles, self.sizes, strict=True):
            # NumPy pads the header for a growing first axis, so that it can be rewritten in place.
            shape = (self.count, size, size)
            header = {"descr": np.dtype(self.dtype).str, "fortran_order": False, "shape": shape}
            handle.seek(0)
            np.lib.format.write_array_header_1_0(handle, header)


@contextmanager
def growing_arrays(folder, name, sizes, dtype, *, most_rows, key=None):
    """Yield `Rows` of ``<name>_<size>.npy`` files, (n, size, size) each.

    They take their names when the block succeeds. After an error nothing remains. After an
    interruption (of the keyboard, or a kill) what was written remains if there is a `key`, and is
    taken up by the next call with the same key.

    Parameters
    ----------
    most_rows : int
        For which there must be space.
    key : str, optional
        Identity of the content: of everything that decides about any row.

    Raises
    ------
    DataError
        When the files cannot be written; says where and how much space is needed.
    """
    folder = Path(folder)
    paths = [folder / f"{name}_{size}.npy" for size in sizes]
    needed = most_rows * sum(size**2 for size in sizes) * np.dtype(dtype).itemsize
    start = f".partial-{key or os.getpid()}-"
    partial = [path.with_name(start + path.name) for path in paths]
    journal = folder / f"{start}{name}.jsonl"
    handles, rows, finished = [], None, True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f".partial-*-{name}[_.]*"):
            if stale not in (*partial, journal):
                stale.unlink()
        done = _journal(journal, partial, sizes, dtype) if key else []
        mode = "r+b" if done else "wb"
        for path in partial:
            handles.append(open(path, mode, BUFFER))  # noqa: SIM115 (closed below, errors apart)
        if shutil.disk_usage(folder).free < needed - sum(path.stat().st_size for path in partial):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rows = Rows(list(handles), sizes, dtype, done)
        rows.write_headers()
        for handle, size in zip(rows.handles, sizes, strict=True):
            handle.seek(handle.tell() + rows.count * size**2 * np.dtype(dtype).itemsize)
            handle.truncate()
        if key:
            journal.write_bytes(b"".join(_line(*entry) for entry in done))  # no torn last line
            rows.journal = open(journal, "ab")  # noqa: SIM115
            handles.append(rows.journal)
        yield rows
        rows.write_headers()
        for handle in handles:
            handle.close()
        for path, temporary in zip(paths, partial, strict=True):
            os.replace(temporary, path)
    except OSError as error:
        names = ", ".join(str(path) for path in paths)
        there = next(place for place in paths[0].resolve().parents if place.exists())
        free = shutil.disk_usage(there).free
        raise DataError(
            f"{names}: cannot be written ({error.strerror}); found {free} bytes free, expected "
            f"{needed}. Free some space, or choose another folder or fewer sizes."
        ) from error
    except (KeyboardInterrupt, SystemExit):
        if key is not None and rows is not None:
            finished = False
            rows.flush()
        raise
    finally:
        for handle in handles:
            with suppress(OSError):  # closing flushes, which fails again on a full disk
                handle.close()
        if finished:
            for path in (*partial, journal):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def _line(squares, entry):
    return json.dumps([int(squares), entry]).encode() + b"\n"


def _journal(path, partial, sizes, dtype):
    """Entries of an interrupted run, none if the arrays do not hold what they say."""
    entries = []
    with suppress(OSError, ValueError):  # no journal, or its last line is torn
        for line in path.read_bytes().splitlines():
            squares, entry = json.loads(line)
            entries.append([squares, entry])
    count = sum(squares for squares, _ in entries)
    for file, size in zip(partial, sizes, strict=True):
        least = count * size**2 * np.dtype(dtype).itemsize
        if not file.exists() or file.stat().st_size < least:
            return []
    return entries
