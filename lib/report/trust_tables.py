"""Tables that say what the drift is worth: what else goes with it, and what it depends on.

Each function makes of a table of the study a caption, the first sentence of which is its title, and
the rows that are shown. All of them tell of the pooled map; the files have the other layers.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from lib.drift.metrics import metric_label
from lib.report.digest import PRIMARY
from lib.report.lesion import MEASURES
from lib.report.phrases import CELL, listed, span
from lib.study.names import METHOD_TITLES, stage_of

Shown = tuple[str, pd.DataFrame]
_FINER = "unit_distance"
"""The metric of the first hypothesis: squared distance of maps of unit length."""


def plain(caption: str, rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table):
    """A maker whose caption says all that there is to say of its rows."""
    return lambda table: (caption, rows(table))


def pooled(table: pd.DataFrame, column: str, names: Mapping[str, str]) -> pd.DataFrame:
    """Rows of the pooled map, with words for what is estimated."""
    rows = table[(table["role"] == CELL["role"]) & table[column].isin(names)]
    columns = ["architecture", "method", column, "estimate", "low", "high", "films", "seeds"]
    return rows[columns].replace({column: dict(names)})


def _head_and_features(table: pd.DataFrame) -> Shown:
    names = {"head": "added by the head", "features": "added by the features",
             "head_share": "head’s share of the drift"}  # fmt: skip
    return (
        "Did the head move the evidence, or the features? Squared distance of maps of one length "
        "that each exchange adds (0 to 2, negative where one takes back what the other moved), and "
        "the head’s share of their sum (0 = all with the features, 1 = all with the head), with "
        "95 % intervals over seeds and patients.",
        pooled(table, "part", names),
    )


def _metric_agreement(table: pd.DataFrame) -> Shown:
    sides = [
        table[table[first] == PRIMARY].rename(columns={second: "metric"})
        for first, second in (("metric_a", "metric_b"), ("metric_b", "metric_a"))
    ]
    rows = pd.concat(sides).dropna(subset="rho")
    rows = rows[rows["role"] == CELL["role"]].groupby("metric", sort=False)["rho"]
    found = rows.agg(mean="mean", lowest="min", highest="max").reset_index()
    primary = metric_label(PRIMARY).split(" (")[0]
    return (
        "Do the metrics measure one thing? Spearman ρ over films of each metric with the "
        f"{primary}, both turned so that more is more drift, at the pooled map: its mean, lowest "
        "and highest over networks and methods; 1 = the same films drifted most, 0 = unrelated.",
        found,
    )


def _confidence(table: pd.DataFrame) -> Shown:
    rows = table[(table["role"] == CELL["role"]) & (table["metric"] == _FINER)]
    keys = ["architecture", "method", "target"]
    size, signed = (rows[rows["relation"] == name].set_index(keys) for name in ("size", "signed"))
    found = size[["rho", "low", "high", "films"]].assign(rho_signed=signed["rho"])
    return (
        "Is drift more than a change of confidence? Spearman ρ over films of the drift (squared "
        "distance of maps of one length, pooled map) with the size of the change of the true "
        "class’s logit and probability, with 95 % intervals over patients, and with the signed "
        "change; 0 = unrelated, 1 = the films that drifted most changed most.",
        found.dropna(subset="rho").reset_index(),
    )


def _consistency(table: pd.DataFrame) -> Shown:
    rows = table[table["role"] == CELL["role"]].assign(stage=stage_of(table["checkpoint"]))
    wide = rows.pivot_table("c_score", ["architecture", "method"], "stage", sort=False)
    wide = wide.reindex(columns=["transfer", "finetune"])
    wide = wide.assign(change=wide["finetune"] - wide["transfer"]).dropna(how="all")
    return (
        "Are the maps of one class more alike after fine-tuning? C-Score, the soft overlap of "
        "every two films of a class that are classified correctly, weighted by the confidence in "
        "both, mean over classes and seeds, pooled map; 1 = the same map for all, 0 = nothing in "
        "common, and the films are not the same before and after.",
        wide.reset_index(),
    )


SUPPORTS = {"own": "correct for the network", "common": "correct for every network",
            "all": "all test films"}  # fmt: skip


def _supports(table: pd.DataFrame) -> Shown:
    keys = ["architecture", "method"]
    rows = table[(table["role"] == CELL["role"]) & (table["metric"] == PRIMARY)].set_index(keys)
    own = rows["support"] == "own"
    change = rows["estimate"] - rows.loc[own, "estimate"].reindex(rows.index)
    rows = rows.assign(change=change.mask(own)).reset_index()
    order = rows.groupby(keys, sort=False).ngroup().sort_values(kind="stable").index
    found = rows.loc[order]
    columns = [*keys, "support", "estimate", "low", "high", "films", "change"]
    return (
        "Does it matter which films count? Retained evidence R of the overlap at the pooled map "
        "with 95 % intervals (1 = as the placebo, 0 = as unrelated films) over the test films that "
        "all checkpoints of the network, or of every network, classify correctly, and over all of "
        "them, and its change against the first, which has no interval as the films are partly the "
        f"same.{_change(rows)}",
        found[columns].replace({"support": SUPPORTS}),
    )


def _change(rows: pd.DataFrame) -> str:
    """By how much R of LayerCAM changes with the films, and whether the order of networks does."""
    wide = rows[rows["method"] == CELL["method"]].pivot_table(
        ["estimate", "change"], "architecture", "support"
    )
    told = []
    for name, films in (("common", "on those of every network"), ("all", "on all films")):
        both = ("estimate", name), ("estimate", "own")
        known = wide.dropna(subset=list(both)) if set(both) <= set(wide) else wide[:0]
        if len(known):
            ranks = [known[column].rank().tolist() for column in both]
            order = "the same order of networks" if ranks[0] == ranks[1] else "another order"
            order = f" ({order})" if len(known) > 1 else ""
            told.append(f"by {span(known['change', name])} {films}{order}")
    of = METHOD_TITLES[CELL["method"]]
    return f" R of {of} changes {listed(told)}." if told else ""


MAKERS: dict[str, Callable[[pd.DataFrame], Shown]] = {
    "head_and_features": _head_and_features, "metric_agreement": _metric_agreement,
    "confidence": _confidence, "consistency": _consistency, "supports": _supports,
    "known_evidence": plain(
        "Does the evidence lie where it should? LayerCAM on all test films with a lesion: the "
        "share of the map in it (0 to 1), that share as a multiple of the area, and the share of "
        "films whose strongest place touches it; before and after fine-tuning, with the placebo, "
        "with random weights and by chance, and the change with its 95 % interval over patients.",
        lambda table: table.replace({"measure": MEASURES}),
    ),
    "perturbed": plain(
        "Do maps stay where the prediction stays, and follow where it changes? Noise, less "
        "contrast and blur were put on films. Resistance: overlap of the two maps where the "
        "prediction stays, 1 = the same map. Relevance: how much less they overlap where it "
        "changes, under the same change of the film; 0 = the map does not heed the prediction. "
        "With 95 % intervals over patients."
    ),
}  # fmt: skip
