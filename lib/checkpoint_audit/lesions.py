"""Where the lesions of films are: boxes in a table, masks in a folder, brought to the films' frame.

A table has a row per box, with the film, the box in pixels of the film as it lies there, and, where
films have several findings, which it is: the tables of NIH ChestX-ray14 (``BBox_List``), RSNA and
VinDr-CXR are read as they are. A folder has a PNG per film, of the film's name; of a multi-label
model in a folder per finding.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.data.films.squares import Squares, resize_mask
from lib.data.naming import meaning, plain
from lib.drift.pairings import Pairing
from lib.evidence.changes import (
    change_summary,
    changes_of_study,
    evidence_of_study,
    evidence_summary,
)
from lib.study.errors import DataError, few
from lib.study.paths import resolve

_FILM = ("imageindex", "imageid", "patientid", "file", "dicomid")
_FINDING = ("findinglabel", "classname", "label", "finding")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x", "y", "width", "height"), ("x", "y", "w", "h"),
            ("bboxx", "y", "w", "h"))  # fmt: skip
_SLACK = 1.01  # boxes are drawn a pixel beyond the edge


def read_boxes(path: Path) -> pd.DataFrame:
    """Boxes of a table; rows without one, of films without a lesion, are left out.

    Returns
    -------
    DataFrame
        ``film`` and ``finding`` as written ("" where the table has none), ``left``, ``top``,
        ``right``, ``bottom`` in pixels.

    Raises
    ------
    DataError
        If it is no such table, or a box is no four numbers that make one.
    """
    try:
        table = pd.read_csv(path, dtype=str, index_col=False, encoding="utf-8-sig").fillna("")
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not a CSV of boxes in UTF-8 ({error}). Save it again.") from error
    spelt = {re.sub("[^a-z]", "", str(name).casefold()): name for name in table}
    film = next((spelt[name] for name in _FILM if name in spelt), None)
    corners = next((names for names in _CORNERS if set(names) <= set(spelt)), None)
    if film is None or corners is None:
        raise DataError(
            f"{path}: found columns {few(map(str, table), 20)}, expected those of the film "
            "(image_id), and of its boxes x_min, y_min, x_max, y_max or x, y, width, height in "
            "pixels. Name them so."
        )
    of = table[next((spelt[name] for name in _FINDING if name in spelt), film)]
    boxes = table[[spelt[name] for name in corners]].apply(pd.to_numeric, errors="coerce")
    boxes.columns = ["left", "top", "right", "bottom"]
    if corners[2] != "xmax":
        boxes["right"] += boxes["left"]
        boxes["bottom"] += boxes["top"]
    blank = (table[[spelt[name] for name in corners]] == "").all(axis=1)
    wrong = ~blank & ~((boxes["left"] < boxes["right"]) & (boxes["top"] < boxes["bottom"]))
    if wrong.any():
        raise DataError(
            f"{path}: rows {few((np.flatnonzero(wrong) + 1).tolist())}: found no box, expected "
            f"numbers in {', '.join(spelt[name] for name in corners)} that make one. Correct them, "
            "or leave all of them blank where there is no lesion."
        )
    names = {"film": table[film], "finding": "" if of.name == film else of}
    return boxes.assign(**names)[~blank].reset_index(drop=True)


def _rows_by_name(manifest: pd.DataFrame) -> dict[str, int]:
    """Row of every film by all that it may be called; what may be two films is none of them."""
    found: dict[str, set[int]] = {}
    for row, (name, file) in enumerate(zip(manifest["image_id"], manifest["file"], strict=True)):
        path = PurePosixPath(file)
        for key in {name, file, path.name, path.stem}:
            found.setdefault(key, set()).add(row)
    return {key: rows.pop() for key, rows in found.items() if len(rows) == 1}


def masks(
    sources: Sequence[str],
    manifest: pd.DataFrame,
    *,
    finding: str,
    labels: Mapping[str, str],
    size: int,
    aspect: str,
) -> np.ndarray:
    """Lesions of the films, as the network sees these.

    Parameters
    ----------
    sources : sequence of path-like
        Tables of boxes and folders of masks; a film has all lesions that any of them tells.
    manifest : DataFrame
        ``image_id``, ``file``, ``width``, ``height``, before names are hashed.
    finding : str
        The finding that is asked for; "" for all.
    labels : mapping of str to str
        Finding by what a table calls otherwise.
    size, aspect
        As in `lib.data.films.squares.resize`.

    Returns
    -------
    ndarray of bool, shape (films, size, size)
        Empty where no lesion is known.

    Raises
    ------
    DataError
        If a source cannot be read, knows none of the films, or a box lies outside its film.
    """
    found = np.zeros((len(manifest), size, size), bool)
    sides = manifest[["width", "height"]].to_numpy()
    rows = _rows_by_name(manifest)
    mean = meaning([finding], labels) if finding else None
    for source in map(resolve, sources):
        if source.is_dir():
            known = _from_folder(source, finding, rows, sides, found, aspect)
        else:
            boxes = read_boxes(source)
            known = boxes["film"].isin(rows).any() or boxes.empty
            boxes = boxes[boxes["film"].isin(rows)]
            if mean:
                boxes = boxes[[name == "" or mean(name) == finding for name in boxes["finding"]]]
            for film, of in boxes.groupby("film"):
                width, height = sides[rows[film]]
                drawn = _drawn(of, width, height, source)
                found[rows[film]] |= resize_mask(drawn, size=size, aspect=aspect)
        if not known:
            raise DataError(
                f"LESIONS={source}: knows none of the {len(manifest)} films, such as "
                f"{manifest['image_id'].iloc[0]!r}. Give lesions the names of the films."
            )
    return found


def _from_folder(source, finding, rows, sides, found, aspect) -> bool:
    """Add the masks of a folder; whether it has any of the films, for any finding."""
    how = Squares(source, [found.shape[1]], aspect)
    files = sorted(source.rglob("*.png"))
    own = [f for f in files if f.parent == source or plain(f.parent.name) == plain(finding)]
    for file in own:
        if (row := rows.get(file.stem, rows.get(file.name))) is not None:
            width, height = sides[row]
            name = file.relative_to(source).as_posix()
            found[row] |= how.of_mask(name, width=width, height=height)[0]
    return any(file.stem in rows or file.name in rows for file in files)


def _drawn(boxes: pd.DataFrame, width: int, height: int, source: Path) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    for box in boxes.itertuples():
        if (
            box.right > _SLACK * width
            or box.bottom > _SLACK * height
            or min(box.left, box.top) < -1
        ):
            raise DataError(
                f"LESIONS={source}: film {box.film!r}: found a box to ({box.right:g}, "
                f"{box.bottom:g}), expected one inside its {width}x{height} pixels. Boxes may be "
                "of films of another size: multiply them, or give the films that they were "
                "drawn on."
            )
        left, top = (max(0, round(x)) for x in (box.left, box.top))
        mask[top : round(box.bottom), left : round(box.right)] = True
    return mask


def lesion_table(
    sets: Mapping[str, MapSet], lesions: np.ndarray, *, classes: Sequence[str], patients: Sequence
) -> pd.DataFrame:
    """Evidence in the lesion before and after, beside what chance gives.

    Parameters
    ----------
    sets : mapping of str to MapSet
        "before" and "after".
    lesions : ndarray of bool, shape (films, size, size)
        In the order of the maps.
    patients : sequence of str, one per film

    Returns
    -------
    DataFrame
        A row per layer, method and measure (share of the map, that share by the share of the film
        that the lesion covers, and whether the highest cell touches it: the pointing game):
        ``films`` (with a lesion, and no blank map before or after), ``before``, ``after``,
        ``change`` with ``low`` and ``high`` (95 % over patients), and by chance ``area`` (a map
        that is the same everywhere, a cell drawn blindly) and ``centre`` (a preference for the
        centre). No row where no lesion is known.
    """
    two = {"model": {name: sets[name] for name in ("before", "after")}}
    known = {"model": {"lesion": lesions, "lung": None}}
    evidence = evidence_of_study(two, known, classes=classes, patients=list(patients))
    change = changes_of_study(evidence, [Pairing("change", "before", "after")])
    # The same films before and after: a map that vanished would otherwise change the mean.
    keys = ["role", "method", "image_id"]
    scored = change.loc[change["lesion_mass_change"].notna(), keys]
    evidence = evidence.merge(scored, on=keys)
    columns = ["role", "method", "measure"]
    if evidence.empty:
        return pd.DataFrame(columns=[*columns, "films", "before", "after", "change"])
    levels = evidence_summary(evidence, by=("role", "method", "checkpoint")).set_index(columns)
    before, after = (levels[levels["checkpoint"] == name] for name in ("before", "after"))
    gains = change_summary(change, by=("role", "method")).set_index(columns)
    table = pd.DataFrame(
        {
            "films": before["n"], "before": before["mean"], "after": after["mean"],
            "change": gains["mean"], "low": gains["low"], "high": gains["high"],
            "area": before["uniform"], "centre": before["centre"],
        }
    ).reindex(before.index).reset_index()  # fmt: skip
    return table[table["measure"].str.startswith("lesion")].reset_index(drop=True)
