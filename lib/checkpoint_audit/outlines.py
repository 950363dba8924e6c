"""Lesions as files of annotations tell them: boxes, polygons and run-lengths.

=========================  =======================================================================
table (CSV)                a row per box (NIH ChestX-ray14, RSNA, VinDr-CXR), or per mask in
                           run-lengths (SIIM-ACR)
COCO (JSON)                ``images``, ``categories`` and ``annotations``, each with polygons or
                           run-lengths as ``segmentation``, or a ``bbox``
CheXlocalize (JSON)        polygons by finding and film, ``{film: {"img_size": [height, width],
                           finding: [[[x, y], …], …]}}``, or run-lengths in the place of polygons
=========================  =======================================================================

Points and run-lengths are as in `lib.checkpoint_audit.shapes`. Nothing is drawn before it is asked
for, and nothing in a file can make that larger than a film may be.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib.checkpoint_audit.shapes import of_box, of_polygons, of_runs, unpacked
from lib.data.films.film import MAX_PIXELS
from lib.study.errors import DataError, few

_FILM = ("imageindex", "imageid", "patientid", "file", "dicomid")
_FINDING = ("findinglabel", "classname", "label", "finding")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x", "y", "width", "height"), ("x", "y", "w", "h"),
            ("bboxx", "y", "w", "h"))  # fmt: skip
_RUNS = "encodedpixels"
_LARGEST = 256 * 2**20  # bytes; the annotations of CheXlocalize have less than a tenth of that


@dataclass(frozen=True)
class Outline:
    """One lesion of a film, or that the film has none.

    ``film`` and ``finding`` are as the file calls them, the finding "" where it does not say;
    ``entry`` is where in the file, for messages; ``frame`` height and width of the picture that it
    was drawn on, None for those of the film. ``draw``, ``(height, width) → mask``, bool, raises
    ValueError with what was found and expected where it does not fit; it is None where there is no
    lesion.
    """

    film: str
    finding: str
    entry: str
    frame: tuple[int, int] | None
    draw: Callable[[int, int], np.ndarray] | None


def read(path: Path) -> list[Outline]:
    """All that a file of annotations tells, of any film; a DataError if it cannot be meant."""
    if (size := path.stat().st_size) > _LARGEST:
        raise DataError(
            f"{path}: found {size} bytes, expected at most {_LARGEST} of annotations. Leave out "
            "those of other films."
        )
    return list(_of_json(path) if path.suffix.lower() == ".json" else _of_table(path))


def _of_table(path: Path) -> Iterator[Outline]:
    try:
        table = pd.read_csv(path, dtype=str, index_col=False, encoding="utf-8-sig").fillna("")
    except (ValueError, OSError) as error:
        why = f"{path}: not a CSV of lesions in UTF-8 ({error}). Save it again."
        raise DataError(why) from error
    spelt = {re.sub("[^a-z]", "", str(name).casefold()): name for name in table}
    film = next((spelt[name] for name in _FILM if name in spelt), None)
    corners = next((names for names in _CORNERS if set(names) <= set(spelt)), None)
    if film is None or not (corners or _RUNS in spelt):
        raise DataError(
            f"{path}: found columns {few(map(str, table), 20)}, expected those of the film "
            "(image_id), and of its boxes x_min, y_min, x_max, y_max or x, y, width, height in "
            "pixels, or EncodedPixels with run-lengths. Name them so."
        )
    of = next((table[spelt[name]] for name in _FINDING if name in spelt), [""] * len(table))
    if corners:
        boxes = table[[spelt[name] for name in corners]]
        shapes = _boxes_of(boxes, path, corner=corners[2] == "xmax")
    else:
        shapes = _runs_of(table[spelt[_RUNS]], path)
    for row, (name, finding, draw) in enumerate(zip(table[film], of, shapes, strict=True), 1):
        yield Outline(name, finding, f"row {row}", None, draw)


def _boxes_of(told: pd.DataFrame, path: Path, *, corner: bool) -> Iterator[Callable | None]:
    boxes = told.apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True)
    if not corner:
        boxes[:, 2:] += boxes[:, :2]
    blank = (told == "").all(axis=1).to_numpy()
    wrong = ~blank & ~(boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    if wrong.any():
        raise DataError(
            f"{path}: rows {few((np.flatnonzero(wrong) + 1).tolist())}: found no box, expected "
            f"numbers in {', '.join(map(str, told))} that make one. Correct them, or leave all of "
            "them blank where there is no lesion."
        )
    for empty, box in zip(blank, boxes, strict=True):
        yield None if empty else partial(of_box, *box)


def _runs_of(told: pd.Series, path: Path) -> Iterator[Callable | None]:
    for row, text in enumerate(map(str.strip, told), 1):
        runs = [] if text in ("", "-1") else text.split()
        with _about(path, f"row {row}"):
            if runs and not re.fullmatch(r"\d{1,9}( +\d{1,9})*", text):
                raise ValueError(f"found {_short(text)}, expected run-lengths such as 120 5 95 5")
        yield partial(of_runs, list(map(int, runs)), whole=False) if runs else None


def _of_json(path: Path) -> Iterator[Outline]:
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON ({error}). Export it again.") from error
    if isinstance(told, dict) and "annotations" in told:
        return _of_coco(told, path)
    if isinstance(told, dict) and told and all(isinstance(of, dict) for of in told.values()):
        return _of_findings(told, path)
    found = f"the keys {few(told)}" if isinstance(told, dict) else _short(told)
    raise DataError(
        f"{path}: found {found}, expected COCO (images, categories, annotations) or CheXlocalize "
        "(findings by film); see book/audit.md."
    )


def _of_coco(told: dict, path: Path) -> Iterator[Outline]:
    with _about(path, "COCO"):
        images, names = (
            {_value(each, "id", int | str): each for each in _value(told, key, list)}
            for key in ("images", "categories")
        )
        annotations = _value(told, "annotations", list)
        films = {key: _value(image, "file_name", str) for key, image in images.items()}
        titles = {key: _value(category, "name", str) for key, category in names.items()}
    drawn = set()
    for number, each in enumerate(annotations):
        entry = f"annotations[{number}]"
        with _about(path, entry):
            key = _value(each, "image_id", int | str)
            if key not in images:
                raise ValueError(f"image_id: found {key!r}, expected one of images")
            frame = _frame([images[key].get(side) for side in ("height", "width")])
            category = _value(each, "category_id", int | str)
            if category not in titles:
                raise ValueError(f"category_id: found {category!r}, expected one of categories")
            if shape := each.get("segmentation"):
                frame, draw = _shape(shape, frame)
            else:
                left, top, width, height = _numbers(_value(each, "bbox", list), 4)
                draw = partial(of_box, left, top, left + width, top + height)
        drawn.add(key)
        yield Outline(films[key], titles[category], entry, frame, draw)
    yield from (Outline(films[key], "", "images", None, None) for key in films if key not in drawn)


def _of_findings(told: dict, path: Path) -> Iterator[Outline]:
    for film, findings in told.items():
        with _about(path, repr(film)):
            size = _frame(findings["img_size"]) if "img_size" in findings else None
        yield Outline(film, "", repr(film), size, None)
        for finding, shape in findings.items():
            if finding != "img_size":
                entry = f"{film!r}, {finding!r}"
                with _about(path, entry):
                    frame, draw = _shape(shape, size)
                yield Outline(film, finding, entry, frame, draw)


@contextmanager
def _about(path: Path, entry: str):
    """Say of which entry of which file a ValueError is."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{path}: {entry}: {error}. Correct or remove it.") from error


def _short(value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _value(told, key: str, kind: type):
    """A value of a JSON object, of the type that is expected."""
    value = told.get(key) if isinstance(told, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = {list: "a list", str: "text"}.get(kind, "a number or text")
        raise ValueError(f"{key}: found {_short(value)}, expected {expected}")
    return value


def _numbers(told, count: int | None = None) -> np.ndarray:
    """Finite numbers, all in one array whose shape is that of the lists."""
    try:
        numbers = np.asarray(told, float)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all() or (count and numbers.shape != (count,)):
        raise ValueError(f"found {_short(told)}, expected {count or 'finite'} numbers")
    return numbers


def _frame(told) -> tuple[int, int] | None:
    """Height and width of what was drawn on; None where neither is given."""
    if told == [None, None]:
        return None
    sides = _numbers(told, 2)
    if (sides < 1).any() or (sides % 1 > 0).any() or sides.prod() > MAX_PIXELS:
        raise ValueError(
            f"found {_short(told)} as height and width, expected whole numbers of pixels, at most "
            f"{MAX_PIXELS} in all"
        )
    return int(sides[0]), int(sides[1])


def _shape(told, frame) -> tuple[tuple[int, int] | None, Callable | None]:
    """Run-lengths or polygons, with the frame that they are of."""
    if isinstance(told, dict):
        frame, counts = _frame(told.get("size")), told.get("counts")
        runs = unpacked(counts) if isinstance(counts, str) else counts
        if not isinstance(runs, list) or not all(type(n) is int and n >= 0 for n in runs):
            raise ValueError(f"counts: found {_short(counts)}, expected run-lengths")
        return frame, partial(of_runs, runs, whole=True) if len(runs) > 1 else None
    polygons = [_numbers(polygon) for polygon in told] if isinstance(told, list) else [np.zeros(1)]
    for points in polygons:
        if points.size % 2 or points.ndim > 2 or points.shape[1:] not in ((), (2,)):
            raise ValueError(f"found {_short(told)}, expected polygons, each a list of points x, y")
    polygons = [points.reshape(-1, 2) for points in polygons if points.size]
    return frame, partial(of_polygons, polygons) if polygons else None
