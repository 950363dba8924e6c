"""The data of the case browser: maps on their native grid, small enough to travel with the report.

A browser opens the report from disk, where it may load scripts but not fetch files. So the data
are scripts that hand one JSON value to ``receiveShard``: ``index.js`` with what is true of all
cases, a shard per checkpoint with its maps, a shard per pair of checkpoints with its metrics. The
page asks for the two or three shards that it shows. Names of shards are numbers, never names of
the study, and JSON is written in ASCII: no name can become a path or code.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd

from lib.attribution import arrays
from lib.attribution.maps import MapSet, load_maps, require_same_films
from lib.data.cache import lesion_masks, marker_masks
from lib.drift import metrics as drift
from lib.drift.metrics import metric_label
from lib.models.performance import true_probability
from lib.study.artefacts import atomic, read_array, read_table, write_text
from lib.study.errors import ArtefactError
from lib.study.names import ARCHITECTURE_TITLES, METHOD_TITLES, PAIRING_TITLES
from lib.study.paths import StudyPaths
from lib.study.schema import STRATA

COLOURS = ("viridis", "cividis", "magma", "gray")
LARGEST_FILM, QUALITY = 256, 70
FINER = "soft_iou"
"""Metric that orders cases which are alike in the coarse one that they are sorted by."""
_MISSING = 65535


@dataclass(frozen=True)
class Cases:
    """What `write_cases` wrote: ``index.js`` is its first file; films are in their order."""

    files: list[Path]
    image_id: np.ndarray
    label: list[str]
    pairs: pd.DataFrame  # of maps of one film
    shown: pd.DataFrame  # those of them that the browser has


def packed(array: np.ndarray) -> str:
    """Bytes of an array (little endian), compressed with gzip, in base64; always the same text."""
    array = array.astype(array.dtype.newbyteorder("<"))
    return base64.b64encode(gzip.compress(array.tobytes(), mtime=0)).decode("ascii")


def _seen(maps: np.ndarray) -> np.ndarray:
    """Maps of shape (n, h, w), non-negative, with zeros for those that are blank."""
    return np.where((arrays.blank_reason(maps) == "")[:, None, None], maps, 0)


def quantised_maps(maps: np.ndarray) -> np.ndarray:
    """Maps as U = M / max(M) in 255 steps, uint8, shape (n, h × w); a blank one is zero."""
    cells = _seen(maps).reshape(len(maps), -1).astype(np.float64)
    top = cells.max(axis=1, keepdims=True)
    shares = np.divide(cells, top, out=np.zeros_like(cells), where=top > 0)
    return np.rint(255 * shares).astype(np.uint8)


def strongest(maps: np.ndarray) -> np.ndarray:
    """The strongest 20 % of the cells, as ``iou_top20`` takes them, bool, shape (n, h × w)."""
    return drift.top_mask(_seen(maps), fraction=0.2).reshape(len(maps), -1)


def quantised_metric(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values as uint16 codes, low and step: ``value = low + step · code``; 65535 where missing."""
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.shape, _MISSING, np.uint16), 0.0, 0.0
    low = float(values[known].min())
    step = (float(values[known].max()) - low) / (_MISSING - 1)
    codes = np.rint((values - low) / step) if step else np.zeros(values.shape)
    return np.where(known, codes, _MISSING).astype(np.uint16), low, step


def outline(mask: np.ndarray) -> list[list[int]]:
    """Outlines of a mask as polygons ``[x, y, x, y, …]`` in thousandths of the film's sides."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_TC89_L1)
    side = 1000 / np.array(mask.shape[::-1])
    return [np.rint((c.reshape(-1, 2) + 0.5) * side).astype(int).ravel().tolist() for c in found]


def _same_film_pairs(path: Path) -> pd.DataFrame:
    """The table of pairs without those of two different films; it may not be empty."""
    pairs = read_table(path)
    pairs = pairs[pairs["image_id"] == pairs["partner_id"]]
    if pairs.empty:
        raise ArtefactError(f"{path}: found no pair of maps of one film, expected some. Rerun it.")
    return pairs


def write_cases(
    paths: StudyPaths, folder: Path, *, classes: Sequence[str], shareable: bool,
    one_of_each: bool = False,
) -> Cases:  # fmt: skip
    """Write all cases of a study with ``tables/pairs.csv`` and the maps that it names.

    The folder receives ``index.js``, the shards and ``films/*.jpg``.

    Parameters
    ----------
    shareable : bool
        Whether films, their outlines and their names may be shown. Otherwise films are numbers.
    one_of_each : bool
        Whether to write only the first pair of checkpoints of each pairing, for a smaller folder.

    Raises
    ------
    ArtefactError
        If maps are missing or of other films than the table of pairs.
    """
    pairs = _same_film_pairs(paths.tables / "pairs.csv")
    metrics = [name for name in drift.METRICS if name in pairs and pairs[name].notna().any()]
    shards, architectures, written, some = [], [], [], None
    for name, of in pairs.groupby("architecture", sort=False):
        if one_of_each:
            first = of.groupby("pairing")[["before", "after"]].transform("first")
            of = of[(of[["before", "after"]] == first).all(axis=1)]
        written.append(of)
        wanted = list(dict.fromkeys([*of["before"], *of["after"]]))
        sets = load_maps(paths, name, wanted)
        if absent := [checkpoint for checkpoint in wanted if checkpoint not in sets]:
            raise ArtefactError(
                f"{paths.tables / 'pairs.csv'}: names {', '.join(absent)} of {name}, of which "
                "there are no complete maps. Rerun 04_attribute, or delete the tables and rerun "
                "them."
            )
        require_same_films(sets if some is None else {"another architecture": some, **sets})
        some = some or next(iter(sets.values()))
        maps = next(iter(sets.values())).maps
        cells = [[role, method, *stack.shape[1:]] for (role, method), stack in maps.items()]
        facts = {"name": name, "title": ARCHITECTURE_TITLES.get(name, name), "cells": cells}
        facts |= {"checkpoints": {}, "pairs": []}
        for checkpoint, maps in sets.items():
            facts["checkpoints"][checkpoint] = _add(folder, shards, _maps_shard(maps, cells))
        for key, pair in of.groupby(["pairing", "before", "after"], sort=False):
            number = _add(folder, shards, _pair_shard(pair, some.image_id, cells, metrics))
            facts["pairs"].append([*key, PAIRING_TITLES.get(key[0], key[0]), number])
        architectures.append(facts)
    scales = [(name, matplotlib.colormaps[name]) for name in (*COLOURS, "PuOr")]
    colours = {name: scale(np.arange(256), bytes=True)[:, :3] for name, scale in scales}
    common = pairs.groupby("image_id")["common"].any().reindex(some.image_id)
    index = {
        "classes": [str(name) for name in classes],
        "labels": some.label.tolist(),
        "common": common.astype(int).tolist(),
        "architectures": architectures,
        "methods": {m: METHOD_TITLES.get(m, m) for m in pairs["method"].unique()},
        "metrics": [[name, metric_label(name), drift.TABLE[name].kind] for name in metrics],
        "strata": list(STRATA), "finer": FINER,
        "colours": {name: base64.b64encode(c.tobytes()).decode() for name, c in colours.items()},
        "names": [], "outlines": {}, "films": False,
    }  # fmt: skip
    films = []
    if shareable:
        films, outlines = _films(paths, folder, some.image_id)
        names = some.image_id.tolist()
        index |= {"names": names, "outlines": outlines, "films": bool(films)}
    write_text(folder / "index.js", _script("index", index))
    labels = [index["classes"][label] for label in index["labels"]]
    files = [folder / "index.js", *shards, *films]
    return Cases(files, some.image_id, labels, pairs, pd.concat(written))


def _maps_shard(maps: MapSet, cells: list) -> dict:
    stacks = [maps.maps[role, method] for role, method, *_ in cells]
    probability = true_probability(maps.logits, maps.label)
    return {
        "probability": [round(float(p), 4) for p in probability],
        "predicted": maps.logits.argmax(axis=1).tolist(),
        "maps": packed(np.concatenate([quantised_maps(stack).ravel() for stack in stacks])),
        "top": packed(np.packbits(np.concatenate([strongest(stack).ravel() for stack in stacks]))),
    }


def _pair_shard(pair: pd.DataFrame, ids: np.ndarray, cells: list, metrics: list[str]) -> dict:
    """Metrics by cell, metric and film; the cells in the order of the maps."""
    reasons, codes, values, scales, strata = [""], [], [], [], []
    for role, method, *_ in cells:
        cell = pair[(pair["role"] == role) & (pair["method"] == method)]
        cell = cell.set_index("image_id").reindex(ids)
        if not strata and cell["stratum"].notna().all():
            strata = [STRATA.index(name) for name in cell["stratum"]]
        blank = cell["blank"].astype(object).where(cell["blank"].notna(), "")
        reasons += [text for text in blank.unique() if text not in reasons]
        codes.append(np.array([reasons.index(text) for text in blank], np.uint8))
        for metric in metrics:
            found, *scale = quantised_metric(cell[metric].to_numpy())
            values.append(found)
            scales.append(scale)
    packs = {"blank": packed(np.concatenate(codes)), "values": packed(np.concatenate(values))}
    return {"strata": strata, "reasons": reasons, "scales": scales, **packs}


def _films(paths: StudyPaths, folder: Path, ids: np.ndarray) -> tuple[list[Path], dict]:
    """Films as JPEGs named by number, and by name the outlines of what is known to be in them."""
    sizes = _sizes(paths, "images")
    if not sizes:
        return [], {}
    size = max([s for s in sizes if s <= LARGEST_FILM], default=min(sizes))
    manifest = read_table(paths.manifest).set_index("image_id")
    if absent := [name for name in ids if name not in manifest.index]:
        raise ArtefactError(
            f"{paths.manifest}: {len(absent)} films of the maps are not in it, such as "
            f"{absent[0]!r}. Rerun 04_attribute and 05_drift on these data."
        )
    rows = manifest.loc[ids, "row"].to_numpy()
    cache, files = read_array(paths.images(size)), []
    for number, row in enumerate(rows):
        files.append(folder / f"films/{number}.jpg")
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        _, content = cv2.imencode(".jpg", np.asarray(cache[row]), options)
        with atomic(files[-1]) as temporary:
            temporary.write_bytes(content.tobytes())
    outlines = {}
    for name, masks in (("lesion", lesion_masks), ("marker", marker_masks)):
        # Films may have sizes that masks do not have; an outline is the same at any size.
        if sizes := _sizes(paths, name):
            outlines[name] = [outline(mask) for mask in masks(paths.data, rows, size=max(sizes))]
    return files, outlines


def _sizes(paths: StudyPaths, name: str) -> list[int]:
    """Sides in pixels in which the data have films or masks."""
    return [int(p.stem.removeprefix(f"{name}_")) for p in paths.data.glob(f"{name}_*.npy")]


def _add(folder: Path, shards: list[Path], value: dict) -> int:
    number = len(shards)
    shards.append(folder / f"shard-{number}.js")
    write_text(shards[-1], _script(f"shard-{number}", value))
    return number


def _script(name: str, value) -> str:
    # JSON in ASCII is JavaScript too; NaN is neither, so it is an error.
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f'receiveShard("{name}",{text});\n'
