"""Tables of compared maps with planted means, laid out as tables/pairs.csv."""

import itertools

import numpy as np
import pandas as pd

from lib.drift.pairings import pairings
from lib.hypotheses.observations import Observations

ARCHITECTURES = ("densenet201", "resnet50v2", "inceptionv3")
METHODS = ("layercam", "gradcam_plus_plus", "gradcam")
ROLES = ("auto_conv", "post_activation")
GRIDS = dict.fromkeys(ARCHITECTURES, 5)
MEANS = {
    "iou_top20": {"placebo": 0.95, "finetune": 0.4, "finetune_seeds": 0.7, "ceiling": 0.2},
    "centroid_displacement": {
        "placebo": 0.005, "finetune": 0.06, "finetune_seeds": 0.04, "ceiling": 0.1,
    },
    "unit_distance": {"placebo": 0.02, "finetune": 0.4, "finetune_seeds": 0.3, "ceiling": 0.8},
}  # fmt: skip


def pairs_table(
    *, seeds=5, films=40, noise=0.02, architectures=ARCHITECTURES, roles=ROLES, **planted
):
    """Pairs of all cells.

    `planted` names a mean: iou={(architecture, method, role, pairing): mean} with None for "any",
    likewise shift= for the centroid. The noise of the centroid is a tenth. At post_activation
    Grad-CAM++ is LayerCAM. soft_iou is 0.8 of the overlap.
    """
    generator = np.random.default_rng(4)
    ids = np.array([f"film{n:03d}" for n in range(films)])
    still = {name: generator.normal(size=films // 2).repeat(2) for name in architectures}
    cells = [
        (name, method, role, pair.name, pair.before, pair.after)
        for name, method, role in itertools.product(architectures, METHODS, roles)
        for pair in pairings([0], range(seeds))
        if pair.name in MEANS["iou_top20"]
    ]
    columns = ["architecture", "method", "role", "pairing", "before", "after"]
    table = pd.DataFrame(np.repeat(cells, films, axis=0), columns=columns)
    table["image_id"] = np.tile(ids, len(cells))
    unrelated = np.tile(np.roll(ids, 2), len(cells))
    table["partner_id"] = table["image_id"].where(table["pairing"] != "ceiling", unrelated)
    table["common"], table["own"], table["blank"] = True, True, ""
    steady = np.concatenate([still[cell[0]] for cell in cells])
    for metric, key, scale in (
        ("iou_top20", "iou", 1), ("centroid_displacement", "shift", 0.1),
        ("unit_distance", "distance", 0.1),
    ):  # fmt: skip
        means = [_mean(metric, cell[:4], planted.get(key, {})) for cell in cells]
        seed = 0.2 * generator.normal(size=len(cells))
        own = steady + generator.normal(size=len(table)) + np.repeat(seed, films)
        table[metric] = np.repeat(means, films) + scale * noise * own
    table["soft_iou"] = 0.8 * table["iou_top20"]
    return same_map(table)


def _mean(metric, cell, planted):
    mean = MEANS[metric][cell[-1]]
    for pattern, value in planted.items():
        if all(p in (None, c) for p, c in zip(pattern, cell, strict=True)):
            mean = value
    return mean


def same_map(table):
    """Copy LayerCAM's values to Grad-CAM++ at post_activation."""
    metrics = ["iou_top20", "centroid_displacement", "unit_distance", "soft_iou"]
    keys = ["architecture", "before", "after", "pairing", "image_id"]
    pooled = table["role"] == "post_activation"
    source = table[pooled & (table["method"] == "layercam")].set_index(keys)[metrics]
    goal = pooled & (table["method"] == "gradcam_plus_plus")
    rows = pd.MultiIndex.from_frame(table.loc[goal, keys])
    table.loc[goal, metrics] = source.loc[rows].to_numpy()
    return table


def patients_of(table):
    """Two films for each patient."""
    ids = sorted(table["image_id"].unique())
    return pd.Series({name: f"p{n // 2}" for n, name in enumerate(ids)})


def blank(table, **where):
    """Blank all pairs of the cells that `where` names."""
    chosen = np.logical_and.reduce([table[key] == value for key, value in where.items()])
    metrics = ["iou_top20", "centroid_displacement", "unit_distance", "soft_iou"]
    table.loc[chosen, metrics] = np.nan
    table.loc[chosen, "blank"] = "b: all zero"
    return table


def observed(table):
    """Observations of a table."""
    return Observations.from_tables(table, patients_of(table))


def gains_table(means, *, seeds=5, films=40):
    """Gain of lesion evidence at stage4, by pairing."""
    generator = np.random.default_rng(9)
    rows = []
    for name, method, (pairing, mean), seed in itertools.product(
        ARCHITECTURES, METHODS, means.items(), range(seeds)
    ):
        frame = _films(films)
        frame["lesion_gain"] = mean + 0.02 * generator.normal(size=films)
        frame[["architecture", "method", "pairing"]] = name, method, pairing
        frame[["role", "before"]] = "stage4", "transfer-s0"
        rows.append(frame.assign(after=f"{pairing}-s{seed}"))
    return pd.concat(rows, ignore_index=True)


def shortcut_table(*, removed=0.3, kept=0.0, **size):
    """Gain of lesion evidence where the shortcut was removed and where it was kept."""
    return gains_table({"shortcut_removed": removed, "shortcut_kept": kept}, **size)


def agreement_table(
    *, partial=0.6, other=0.3, seeds=5, films=40, roles=("post_activation", "stage4")
):
    """Partial agreement of all pairs of seeds; `partial` may be a mapping of architecture."""
    generator = np.random.default_rng(7)
    rows = []
    for name, method, role in itertools.product(ARCHITECTURES, METHODS, roles):
        mean = partial[name] if isinstance(partial, dict) else partial
        for first, second in itertools.combinations(range(seeds), 2):
            frame = _films(films)
            frame["partial"] = mean + 0.05 * generator.normal(size=films)
            frame["partial_other"] = other + 0.05 * generator.normal(size=films)
            frame[["architecture", "method", "role"]] = name, method, role
            frame[["pairing", "before"]] = "finetune_seeds", f"finetune-s{first}"
            rows.append(frame.assign(after=f"finetune-s{second}"))
    return pd.concat(rows, ignore_index=True)


def _films(films):
    ids = [f"film{n:03d}" for n in range(films)]
    return pd.DataFrame({"image_id": ids, "partner_id": ids, "common": True, "own": True})
