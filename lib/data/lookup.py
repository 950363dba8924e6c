"""Where the films of a table lie, though another system, folder or tool wrote their paths."""

import difflib
import os
from itertools import islice
from pathlib import Path, PurePosixPath

from lib.data.layouts import FILMS
from lib.study.errors import DataError, few

_MOST = 5000  # names among which the nearest is looked for


def find_files(names, root):
    """Paths of files, relative to `root`, for the names that a table has.

    What is there under its name stays. Otherwise backslashes are slashes, case and a missing ending
    do not matter, a bare name may lie in any folder below, and one leading part that all such paths
    have in common (``/mnt/films``, ``CheXpert-v1.0-small``) may be left out.

    Names that are not found stay as they are; one that may be two files is a DataError.
    """
    names = list(names)
    missing = {name for name in names if name.strip() and not is_there(name, root)}
    missing = [name for name in dict.fromkeys(names) if name in missing]
    if not missing:
        return names
    places, prefix, found = _places(root), None, {}
    for name in missing:
        parts = name.replace("\\", "/").split("/")
        if ".." in parts:
            continue
        cuts = range(len(parts)) if prefix is None else (0, len(prefix))
        for cut in cuts:
            if cut and prefix is not None and parts[:cut] != prefix:
                continue
            # A path is looked for as it is, a bare name in all folders.
            key = "/".join(parts[cut:]) if len(parts) > 1 else "*/" + name
            if here := places.get(key.casefold()):
                if len(here) > 1:
                    raise DataError(
                        f"{root}: found {name!r} in {few(here)}; expected one film of that name "
                        "below the table. Remove the others, or write a manifest with paths."
                    )
                found[name], prefix = here[0], parts[:cut] if cut else prefix
                break
    return [found.get(name, name) for name in names]


def is_there(name, root):
    """Whether a relative path that does not leave `root` exists."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and os.path.exists(root / path)


def _below(root):
    for place, folders, files in os.walk(root):
        folders.sort()
        inside = Path(place).relative_to(root)
        yield from ((inside / name).as_posix() for name in sorted(files) if name[0] != ".")


def _places(root):
    places = {}
    for path in _below(root):
        stem, ending = os.path.splitext(path)
        for name in (path, stem) if ending.lower() in FILMS else (path,):
            for key in (name, "*/" + name.rpartition("/")[2]):
                places.setdefault(key.casefold(), []).append(path)
    return places


def missing_files(source, names, root, *, total):
    """The error for a table of which so many files are missing, with the nearest name."""
    near = difflib.get_close_matches(names[0], islice(_below(root), _MOST), n=1, cutoff=0)
    return DataError(
        f"{source}: {len(names)} of {total} files are not there; the first was looked for as "
        f"{root / names[0]}, the nearest name is {few(near) or 'none'}. Correct the column of the "
        "files, or put the table into the folder to which its paths are relative."
    )
