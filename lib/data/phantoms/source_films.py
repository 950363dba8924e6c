"""The films of the source task: drawn chests with findings, and all that is known about them.

The chests are those of `phantoms.draw` with wider ranges: other patients, bodies, projections and
exposures than the study's, from seeds of their own. On top come what films of many hospitals have
and phantoms have not: cropping, bars, contrast equalisation, lettering, compression. Because every
film is drawn from numbers, a network can be asked for all of them: which finding, where to the
cell, and how the body and the exposure were.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.data.phantoms.chest import ANATOMY_RANGES
from lib.data.phantoms.draw import IMAGE_RANGES, develop, healthy, random_for, sample
from lib.data.phantoms.findings import FINDINGS, PAIRS
from lib.study.artefacts import read_array, write_json

SIZE = 192
"""Side of a film in pixels; training shrinks it, or enlarges it a little for InceptionV3."""
CELLS = 24
"""Side of the grid of cells on which it is known where the findings are."""
_VERSION = 1  # raise it when the same seed gives another film: part of the name of a set

_NOT_ASKED = ("lesion_strength", "marker_side", "marker_x", "marker_y", "noise")
MEASURES = tuple(ANATOMY_RANGES) + tuple(key for key in IMAGE_RANGES if key not in _NOT_ASKED)
"""What is asked about body and exposure, besides the findings."""


def _widen(ranges: dict, factor: float) -> dict:
    more = (factor - 1) / 2
    return {
        key: (low - more * (high - low), high + more * (high - low))
        for key, (low, high) in ranges.items()
    }


_BODIES, _VIEWS = _widen(ANATOMY_RANGES, 1.3), _widen(IMAGE_RANGES, 1.3)


@dataclass(frozen=True)
class SourceFilm:
    """One film of the source task.

    ``image`` is uint8, (size, size); ``pairs`` bool, by `PAIRS`: which finding is in which place;
    ``cells`` uint8, (`CELLS`, `CELLS`, `FINDINGS`): the share of each cell that a finding covers,
    times 255; ``measures`` float32, by `MEASURES`: each scaled from its range to -1 … 1.
    """

    image: np.ndarray
    pairs: np.ndarray
    cells: np.ndarray
    measures: np.ndarray


def _measures(body, view) -> np.ndarray:
    values = []
    for name in MEASURES:
        low, high = (_BODIES if name in _BODIES else _VIEWS)[name]
        value = getattr(body if name in _BODIES else view, name)
        if low < 0 < high and name in ("breast", "gastric_bubble", "collimation"):
            value, low = max(value, 0.0), 0.0  # negative means that there is none
        values.append(2 * (value - low) / (high - low) - 1)
    return np.array(values, np.float32)


def choose(random: np.random.Generator) -> list[int]:
    """Rows of `PAIRS` of one film: up to three findings, a few of them in several places."""
    names = list(FINDINGS)
    chosen = []
    for number in random.permutation(len(names))[: random.choice(4, p=(0.1, 0.35, 0.35, 0.2))]:
        rows = [row for row, (name, _) in enumerate(PAIRS) if name == names[number]]
        count = 1 + (random.integers(1, 4) if random.random() < 0.3 else 0)
        chosen += list(random.permutation(rows)[:count])
    return [int(row) for row in chosen]


def draw(number: int, *, seed: int, size: int = SIZE, pairs: list[int] | None = None) -> SourceFilm:
    """Draw one film.

    Parameters
    ----------
    number, seed : int
        Which film of which set; films are independent of one another.
    size : int
        Side in pixels, a multiple of `CELLS`.
    pairs : list of int, optional
        Rows of `PAIRS` to draw; chosen at random without.
    """
    key = (seed, 7919, number)  # three words: no seed of the study's phantoms has this form
    random = random_for(*key, 1)
    body, view = sample(_BODIES, random), sample(_VIEWS, random)
    film, chest, density, markings, aerated = healthy(
        body, view, size, patient=random_for(*key, 2), haze=random
    )
    present = np.zeros(len(PAIRS), bool)
    cells = np.zeros((CELLS, CELLS, len(FINDINGS)), np.uint8)
    rows = choose(random_for(*key, 3)) if pairs is None else pairs
    random = random_for(*key, 4)
    for row in rows:
        name, place = PAIRS[row]
        finding = FINDINGS[name]
        layers = finding.draw(film, chest, random, place)
        change, field = layers if isinstance(layers, tuple) else (layers, layers)
        within = aerated if finding.inside else 1.0
        if finding.inside:
            change = change - random.uniform(0, 0.4) * np.clip(field, 0, 1) * markings
        density += random.uniform(*finding.strength) * within * change
        covered = ((field * within) > 0.25).astype(np.float32)
        covered = cv2.resize(covered, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        kind = list(FINDINGS).index(name)
        cells[..., kind] = np.maximum(cells[..., kind], np.rint(255 * covered).astype(np.uint8))
        present[row] = True
    value = develop(density, view, random_for(*key, 5))
    image = np.clip(np.rint(255 * value), 0, 255).astype(np.uint8)
    return SourceFilm(_looks(image, random_for(*key, 6)), present, cells, _measures(body, view))


def _looks(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What happens to a film between the detector and a collection."""
    size = len(image)
    if random.random() < 0.15:
        tiles = int(random.integers(2, 9))
        image = cv2.createCLAHE(random.uniform(1, 4), (tiles, tiles)).apply(image)
    if random.random() < 0.3:
        low, high = np.percentile(image, (random.uniform(0, 3), random.uniform(97, 100)))
        image = np.clip((image - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    if random.random() < 0.3:
        for _ in range(random.integers(1, 4)):
            text = "".join(random.choice(list("ABEILMNPRST0123456789"), random.integers(1, 7)))
            at = (int(random.uniform(0, 0.9) * size), int(random.choice((0.06, 0.1, 0.95)) * size))
            grey = int(random.integers(150, 256))
            scale = random.uniform(0.2, 0.5) * size / 192
            cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, grey, 1, cv2.LINE_AA)
    if random.random() < 0.3:  # cropped, then put on a square with black bars
        image = image.copy()
        near, far = (int(random.uniform(0, 0.17) * size) for _ in range(2))
        bars = image if random.random() < 0.6 else image.T
        bars[:near] = 0
        bars[size - far :] = 0
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 90))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_GRAYSCALE)
    return image


@dataclass(frozen=True)
class SourceSet:
    """Memory-mapped films of the source task."""

    folder: Path
    images: np.ndarray
    pairs: np.ndarray
    cells: np.ndarray
    measures: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def _shapes(films: int) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        "images": ((films, SIZE, SIZE), np.uint8),
        "pairs": ((films, len(PAIRS)), np.bool_),
        "cells": ((films, CELLS, CELLS, len(FINDINGS)), np.uint8),
        "measures": ((films, len(MEASURES)), np.float32),
    }


def set_folder(root: Path, *, films: int, seed: int) -> Path:
    """Folder of a set, named by all that determines it."""
    return Path(root) / f"films-v{_VERSION}-{films}-s{seed}"


def write_set(
    root: Path, *, films: int, seed: int, piece: int = 500, report: Callable[[str], None] = print
) -> SourceSet:  # fmt: skip
    """Draw a set of films once into memory-mapped arrays; continues where it was interrupted.

    `report` receives a line for every `piece` films.
    """
    folder = set_folder(root, films=films, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "drawn.json"
    if not progress.exists():
        for name, (shape, dtype) in _shapes(films).items():
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
        write_json(progress, {"drawn": 0})
    done = json.loads(progress.read_text(encoding="utf-8"))["drawn"]
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _shapes(films)}
    for start in range(done, films, piece):
        stop = min(start + piece, films)
        for number in range(start, stop):
            film = draw(number, seed=seed)
            for name in arrays:
                # The array is called `images`, the film's own attribute `image`.
                arrays[name][number] = getattr(film, "image" if name == "images" else name)
        for array in arrays.values():
            array.flush()
        write_json(progress, {"drawn": stop})
        report(f"{stop} of {films} films drawn")
    return open_set(folder)


def open_set(folder: Path) -> SourceSet:
    """Memory-map a set, read-only."""
    arrays = {name: read_array(folder / f"{name}.npy") for name in _shapes(0)}
    return SourceSet(folder, **arrays)
