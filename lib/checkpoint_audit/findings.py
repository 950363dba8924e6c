"""The numbers of a question of an audit, and what is to be said before they are believed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.checkpoint_audit.classes import CHANCE, check_finding, check_mapping
from lib.checkpoint_audit.classes import Mapping as ClassMapping
from lib.checkpoint_audit.questions import CHECKPOINTS
from lib.data.audit.summary import NOTE, SERIOUS, SEVERITIES, WARNING
from lib.hypotheses.estimates import retained_table
from lib.hypotheses.observations import Observations
from lib.inference.contrasts import clustered_mean, clustered_share
from lib.models import performance
from lib.report.digest import PRIMARY
from lib.study.artefacts import read_table
from lib.study.schema import AUDIT_PAIRINGS, TABLES

_FEW, _BLANK, _COLLAPSE = 20, 0.2, 0.1
_SIMILAR = (PRIMARY, "soft_iou", "pearson")
PRIOR_GRID = 32
"""Cells on a side at which priors are drawn for finer grids too: nobody waits for those."""
PRIOR_PAIRS = 4000
"""Pairs drawn for a prior: its mean is known to a few thousandths, and no verdict reads it."""


def findings(
    sets: Mapping[str, MapSet],
    mappings: Mapping[str, ClassMapping],
    drift: pd.DataFrame,
    *,
    measured: pd.DataFrame,
    checkpoints: pd.DataFrame,
    common: np.ndarray,
    said: Sequence[str] = (),
) -> list[dict[str, str]]:
    """Findings in words, the worst first.

    Parameters
    ----------
    sets, mappings : mapping of str to MapSet, to ClassMapping
        By the name of the checkpoint or control.
    drift, checkpoints : DataFrame
        The tables of these names.
    measured : DataFrame
        Of the function of this name.
    common : ndarray of bool, shape (films,)
        Films that both checkpoints classify correctly.
    said : sequence of str
        Warnings from before there were tables.

    Returns
    -------
    list of dict
        ``severity``, of `SEVERITIES`, and ``text``.
    """
    found = [
        *((WARNING, text) for text in said),
        *_skill_findings(mappings, measured),
        *_support_findings(checkpoints, common, measured),
        *_map_findings(sets, drift[drift["metric"] == PRIMARY]),
    ]
    found.sort(key=lambda finding: -SEVERITIES.index(finding[0]))
    return [{"severity": severity, "text": text} for severity, text in found]


def _skill_findings(mappings, measured):
    for name, mapping in mappings.items():
        accuracy = f"accuracy {mapping.accuracy:.2f}"
        if mapping.permuted:
            order = ",".join(mapping.best_order)
            text = f"The outputs of {name} fit the classes far better in another order ({accuracy}"
            yield SERIOUS, f'{text}, there {mapping.best_accuracy:.2f}): CLASSES="{order}".'
        elif mapping.p_chance > CHANCE:
            text = f"{name} classifies no better than always naming the most frequent class"
            advice = "Check PREPROCESSING and CLASSES: without skill there is no evidence to find."
            yield SERIOUS, f"{text} ({accuracy}, p = {mapping.p_chance:.2f}). {advice}"
        elif mapping.at_chance:
            areas = ", ".join(f"{of} (AUC {area:.2f})" for of, area in mapping.at_chance.items())
            text = f"{name} tells {areas} from the other classes no better than by chance"
            yield SERIOUS, f"{text}; without skill for a class there is no evidence of it to find."
    loss = measured.set_index("measure").loc["accuracy_loss"]
    if loss["low"] > 0 and loss["estimate"] >= _COLLAPSE:
        text = "The accuracy of after collapses on these films: it is lower than that of before by "
        text += f"{loss['estimate']:.2f} ({loss['low']:.2f} to {loss['high']:.2f})"
        yield SERIOUS, f"{text}. Ask first whether it is the right file and PREPROCESSING."


def _support_findings(checkpoints, common, measured):
    first = checkpoints.iloc[0]  # of maps that were made elsewhere it does not say
    inside, given = first.get("inside", "nothing"), first.get("preprocessing")
    if inside != "nothing" and given != "none":
        text = f"PREPROCESSING={given} comes before what the models do themselves ({inside})"
        yield WARNING, f"{text}: films are rescaled twice. Leave it out unless training did both."
    own = measured[measured["measure"] == "class_retained_evidence"]
    absent = own.loc[own["films"] == 0, "label"].tolist()
    if absent and len(absent) < len(own):
        text = f"No film of {', '.join(absent)} is classified correctly by both checkpoints"
        yield WARNING, f"{text}; nothing is said about the evidence there."
    if (count := int(common.sum())) < _FEW:
        text = f"Only {count} of {len(common)} films are classified correctly by both checkpoints"
        yield WARNING, f"{text}; with fewer than {_FEW} the means say little."


def _map_findings(sets, drift):
    if np.array_equal(sets["before"].logits, sets["after"].logits):
        yield NOTE, "Both checkpoints compute exactly the same logits."
    means = drift.pivot_table(index=["role", "method"], columns="pairing", values="mean")
    for (role, method), row in means.reindex(columns=AUDIT_PAIRINGS).iterrows():
        cell, change = f"{method} at {role}", row["change"]
        if row["explainer"] < 1:
            text = f"the same checkpoint explained twice overlaps by {row['explainer']:.3f}, not 1"
            yield WARNING, f"{cell}: {text}; differences of this size are no drift."
        if row["randomised"] >= change:
            text = f"{cell}: maps of permuted weights overlap with those of BEFORE by "
            text += f"{row['randomised']:.2f}, no less than those of AFTER ({change:.2f}); "
            yield WARNING, f"{text}they may show the film rather than what was learnt."
        if change <= row["ceiling"]:
            text = f"the two maps of a film overlap by {change:.2f}, no more than maps of unrelated"
            yield NOTE, f"{cell}: {text} films of its class ({row['ceiling']:.2f})."
    for row in drift[drift["pairing"] == "change"].itertuples():
        total = row.n + row.blank
        if row.blank > _BLANK * total:
            text = f"{row.blank} of {total} pairs have a blank map, which cannot be compared"
            yield WARNING, f"{row.method} at {row.role}: {text}."


def primary_cell(table: pd.DataFrame) -> tuple[str, str]:
    """Role and method that an audit speaks of first: of the deepest layer the first method."""
    return str(table["role"].iloc[-1]), str(table["method"].iloc[0])


def faithful_table(tables: Path) -> pd.DataFrame:
    """What maps tell of the prediction, (`faithfulness.table_of`); empty if it was not asked."""
    file = tables / "faithfulness.csv"
    asked = file.exists()
    return read_table(file) if asked else pd.DataFrame(columns=TABLES["faithfulness"].columns)


def score_tables(
    predictions: pd.DataFrame, *, classes: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of both checkpoints, as `performance.by_split`, and what they take for what."""
    scores, confusion, keys = [], [], ["architecture", "checkpoint"]
    for of, own in predictions.groupby(keys, sort=False):
        names = dict(zip(keys, of, strict=True))
        scores.append(performance.by_split(own, classes=classes).assign(**names))
        counts = performance.confusion(*performance.told(own, classes), classes=classes)
        confusion.append(performance.confusion_rows(counts).assign(**names))
    return tuple(pd.concat(parts, ignore_index=True) for parts in (scores, confusion))


def mappings(
    predictions: pd.DataFrame, *, classes: Sequence[str], finding: str
) -> dict[str, ClassMapping]:
    """Whether outputs mean the classes, by checkpoint; see `lib.checkpoint_audit.classes`.

    Parameters
    ----------
    predictions : DataFrame
        ``tables/predictions.csv`` of an audit.
    classes : sequence of str
        In the order of the logits.
    finding : str
        The finding of a multi-label model that is asked for, "" for a model of classes.
    """
    look = check_finding if finding else check_mapping
    return {
        name: look(*performance.told(own, classes), classes=classes)
        for name, own in predictions.groupby("checkpoint", sort=False)
    }


def retained(pairs: pd.DataFrame, patients: pd.Series) -> pd.DataFrame:
    """Retained evidence of the change, 1 = as when explained twice, 0 = as unrelated films.

    Of ``tables/pairs.csv`` and patients by image id, as `hypotheses.estimates.retained_table`.
    Where nothing was explained twice, a map is taken to be equal to itself. Intervals are over
    patients: there is one pair of checkpoints, and nothing is said about other trainings.
    """
    if not pairs["pairing"].eq("explainer").any():
        own = pairs[pairs["pairing"].eq("change") & pairs[PRIMARY].notna()]
        same = own.assign(pairing="explainer", after="before", **dict.fromkeys(_SIMILAR, 1.0))
        pairs = pd.concat([pairs, same], ignore_index=True)
    known = pairs.assign(before=pairs["before"] + "-s0", after=pairs["after"] + "-s0")
    return retained_table(
        Observations.from_tables(known, patients),
        metrics=_SIMILAR,
        pairings=("change", "explainer", "ceiling"),
    )


def measured(
    pairs: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    cell: Mapping[str, str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Retained evidence, blank maps and accuracy, over all films and by class.

    Parameters
    ----------
    pairs, predictions : DataFrame
        ``tables/pairs.csv`` and ``tables/predictions.csv`` of an audit.
    cell : mapping
        The ``role`` and ``method`` that are read.
    classes : sequence of str
        Classes that maps explain.

    Returns
    -------
    DataFrame
        ``measure`` (of a class: ``class_…``), ``label`` (the class, "" for all), ``estimate``,
        ``low``, ``high`` (95 %), ``films``. ``retained_evidence`` and ``blank_maps`` (share of the
        pairs of maps before → after) are of the common support; ``accuracy_loss`` (before less
        after) and ``accuracy`` (after; of a class, the share of its films that are named so) of all
        films.
    """
    pairs = pairs[pairs["role"].eq(cell["role"]) & pairs["method"].eq(cell["method"])]
    before, after = (
        predictions[predictions["checkpoint"] == name].set_index("image_id") for name in CHECKPOINTS
    )
    label, patients = after["label"], after["patient_id"]
    right = [table["label"] == table["predicted"] for table in (before, after)]
    rows = []

    def add(measure: str, of: str, found, films: int) -> None:
        rows.append([f"class_{measure}" if of else measure, of, *map(float, found), films])

    for name in ("", *classes):
        own = pairs[pairs["image_id"].map(label) == name] if name else pairs
        change = own[(own["pairing"] == "change") & own["common"].astype(bool)]
        unmoved = retained(own, patients).query("metric == @PRIMARY") if len(own) else own
        found = unmoved.iloc[0][["estimate", "low", "high"]] if len(unmoved) else [np.nan] * 3
        add("retained_evidence", name, found, len(change))
        blank = change[PRIMARY].isna()
        share = clustered_share(blank, change["image_id"].map(patients))
        add("blank_maps", name, share, len(blank))
        own = label.eq(name) if name else label.notna()
        add("accuracy", name, clustered_share(right[1][own], patients[own]), int(own.sum()))
    add("accuracy_loss", "", _loss(*right, patients), len(label))
    return pd.DataFrame(rows, columns=["measure", "label", "estimate", "low", "high", "films"])


def _loss(before: pd.Series, after: pd.Series, patients: pd.Series) -> tuple[float, float, float]:
    """Accuracy before less after, with the interval of Bonett & Price (2012) for paired shares.

    It has a decision lost and one gained more than were seen, so that few films without a change
    are no proof that there is none.
    """
    loss = before.astype(float) - after.reindex(before.index)
    known = patients.reindex(before.index).tolist()
    added = pd.Series([*known, ("a", "decision"), ("and", "another")])
    _, low, high = clustered_mean(np.append(loss.to_numpy(), [1, -1]), added)
    return loss.mean(), low, high
