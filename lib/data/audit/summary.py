"""Say in plain words what a classifier could learn from a collection other than disease.

A compilation of sources often gives its classes away by framing, exposure or shape of the film, and
repeats films across splits (DeGrave et al. 2021; Maguolo & Nanni 2021; Garcia Santa Cruz 2021).
"""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kruskal
from scipy.stats.contingency import association

from lib.data.audit.duplicates import across, describe, equal_bytes
from lib.data.audit.measures import NUMBERS
from lib.data.films.windowing import BURNED_IN
from lib.study.errors import ArtefactError
from lib.study.names import SOURCES

STRONG_PROBE, ODD_ASPECT, MANY_REJECTED = 0.5, 1.1, 0.05
CLEAR_PROBE, STRONG_SOURCE, CLEAR_SOURCE, LARGE_EFFECT, MOST_EFFECTS = 0.2, 0.5, 0.2, 0.14, 5
NOTE, WARNING, SERIOUS = SEVERITIES = ("note", "warning", "serious")
MEASURE_NAMES = {
    "width": "width in pixels", "height": "height in pixels", "mean": "mean grey level",
    "sd": "contrast (spread of grey levels)", "darkest": "first percentile of grey levels",
    "median": "median grey level", "brightest": "99th percentile of grey levels",
    "black": "share of black", "white": "share of white", "border_mean": "brightness of the border",
    "border_sd": "contrast of the border", "border_black": "share of black in the border",
    "border_white": "share of white in the border", "blur": "sharpness",
}  # fmt: skip


def summarise(manifest, rejected, probe, *, measures, probes, pairs, sources=SOURCES):
    """Gather counts, duplicates and findings of a collection, ready for JSON.

    Parameters
    ----------
    manifest, rejected : pandas.DataFrame
        Of `lib.data.cache.build`, the manifest with its splits assigned.
    probe, measures, probes, pairs
        Of `probes.thumbnail_probe`, `measures.measure` (row by row), `probes.all_probes` and
        `duplicates.find`.
    sources : sequence of str
        See `source_association`.

    Returns
    -------
    dict
        ``images`` (by class and split), ``patients``, ``patients_unknown`` (images without id),
        ``rejected`` (by reason), ``duplicates``, ``aspect_ratio`` (median of width / height by
        class), ``probe``, ``probes``, ``sources`` (association with the class, by column),
        ``measures`` (by class), ``near_duplicates``, and ``findings`` (``severity``, "serious",
        "warning" or "note", and ``text``), the worst first.
    """
    labels, reasons = manifest["label"], rejected["reason"].str.split(" (", regex=False).str[0]
    counts = pd.crosstab(manifest["label"], manifest["split"])
    aspect = (manifest["width"] / manifest["height"]).groupby(labels).median()
    audit = {
        "images": {label: _integers(row) for label, row in counts.iterrows()},
        "patients": _integers(manifest.groupby("label")["patient_id"].nunique()),
        "patients_unknown": _integers((~manifest["patient_known"]).groupby(labels).sum()),
        "rejected": _integers(reasons.value_counts()),
        "duplicates": _duplicates(manifest),
        "aspect_ratio": {label: round(float(ratio), 4) for label, ratio in aspect.items()},
        "probe": dict(probe),
        "sources": source_association(manifest, sources),
        "measures": by_class(manifest, measures),
        "probes": {name: dict(values) for name, values in probes.items()},
        "near_duplicates": _near_duplicates(manifest, pairs),
    }
    found = [
        *_findings(audit, _integers(rejected["label"].value_counts().sort_index())),
        *_remark_findings(manifest),
        *_source_findings(audit["sources"]),
        *_probe_findings(audit["probes"]),
        *_measure_findings(audit["measures"]),
        *_near_duplicate_findings(audit["near_duplicates"]),
    ]
    found.sort(key=lambda finding: -SEVERITIES.index(finding[0]))
    return audit | {"findings": [{"severity": severity, "text": text} for severity, text in found]}


def load(path):
    """Read what `summarise` gave and a study wrote, or raise an ArtefactError."""
    try:
        audit = json.loads(Path(path).read_text(encoding="utf-8"))
        if missing := {"findings", "probe"} - set(audit):
            raise ValueError(f"without {', '.join(sorted(missing))}")
        return audit
    except (OSError, ValueError, TypeError) as error:
        raise ArtefactError(
            f"{path}: not an audit of the data ({error}). Run 01_prepare_data, which writes it."
        ) from error


def _integers(series):
    return {str(key): int(value) for key, value in series.items()}


def _duplicates(manifest):
    copies = describe(manifest, equal_bytes(manifest))
    splits, classes = (copies[c] != copies[f"other_{c}"] for c in ("split", "label"))
    crossing = copies.loc[splits | classes, ["file", "other_file"]]
    return {
        "copies": len(copies),
        "across_splits": int(splits.sum()),
        "across_classes": int(classes.sum()),
        "pairs": crossing.head(20).to_numpy().tolist(),
    }


def _near_duplicates(manifest, pairs):
    near = pairs[~pairs["identical"]]
    splits, classes = (across(manifest, near, column) for column in ("split", "label"))
    return {
        "pairs": len(near),
        "across_splits": len(splits),
        "across_classes": len(classes),
        "list": splits[["file", "other_file", "bits"]].head(20).to_numpy(object).tolist(),
    }


def _findings(audit, rejected):
    probe, ratios, copies = audit["probe"], audit["aspect_ratio"], audit["duplicates"]
    text = f"A linear model on thumbnails of {probe['side']} pixels reaches a balanced accuracy of"
    text = f"{text} {_reached(probe)}: this much needs no fine structure."
    yield WARNING if _gain(probe) >= STRONG_PROBE else NOTE, text
    narrow, wide = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    if ratios[wide] >= ODD_ASPECT * ratios[narrow]:
        text = f"{ratios[narrow]:.2f} in {narrow}, {ratios[wide]:.2f} in {wide}"
        text = f"The median ratio of width to height differs ({text}) and may show the class."
        yield WARNING, text
    for place in ("splits", "classes"):
        if number := copies[f"across_{place}"]:
            yield WARNING, f"{number} exact duplicates across {place}."
    for label, number in audit["patients_unknown"].items():
        if number:
            total = sum(audit["images"][label].values())
            text = f"No patient ids for class {label} ({number} of {total} images)"
            text = f"{text}: a patient's films may be on both sides of a split."
            yield WARNING if number == total else NOTE, text
    for label, number in rejected.items():
        total = number + sum(audit["images"].get(label, {}).values())
        severity = WARNING if number > MANY_REJECTED * total else NOTE
        yield severity, f"{number} of {total} files of {label} rejected."


def _remark_findings(manifest):
    if "remarks" in manifest:
        told = manifest["remarks"].str.split("; ").explode()
        for remark, number in told[told != ""].value_counts().sort_index().items():
            text = f"{number} of {len(manifest)} films: {remark}."
            if remark == BURNED_IN:
                text += " Names may be legible: look at them before any is shown."
            yield SERIOUS if remark == BURNED_IN else WARNING, text


def _gain(probe):
    return (probe["balanced_accuracy"] - probe["chance"]) / (1 - probe["chance"])


def _reached(probe):
    return f"{probe['balanced_accuracy']:.2f} where chance is {probe['chance']:.2f}"


def _source_findings(sources):
    for column, facts in sources.items():
        strength = facts["cramers_v"]
        if strength < CLEAR_SOURCE:
            continue
        numbers = f"Cramér's V {strength:.2f}, {facts['sources']} sources"
        text = f"Class and {column} go together ({numbers})"
        alone = [label for label, most in facts["largest"].items() if most["share"] == 1]
        if alone:
            text += f"; all films of {', '.join(alone)} are from one source each"
        if facts["apart"]:
            pair = " and ".join(facts["apart"][0])
            text += f"; {len(facts['apart'])} pairs of classes share no source, e.g. {pair}"
        text += ". A model may tell the source instead of the disease, and no accuracy shows which."
        yield SERIOUS if strength >= STRONG_SOURCE else WARNING, text


def _probe_findings(probes):
    for probe in probes.values():
        # Two standard errors below: chance in a small collection is no finding.
        sure = probe["balanced_accuracy"] - 2 * probe["sd"] / probe["folds"] ** 0.5
        gain = _gain(probe | {"balanced_accuracy": sure})
        severity = SERIOUS if gain >= STRONG_PROBE else WARNING if gain >= CLEAR_PROBE else NOTE
        text = f"From {probe['description']} alone, a linear model reaches a balanced accuracy of"
        yield severity, f"{text} {_reached(probe)}."


def _measure_findings(measures):
    strong = {n: facts for n, facts in measures.items() if facts["effect"] >= LARGE_EFFECT}
    strong.pop("aspect", None)  # said above in words of its own
    for name in sorted(strong, key=lambda name: -strong[name]["effect"])[:MOST_EFFECTS]:
        medians = strong[name]["median"]
        low, high = min(medians, key=medians.get), max(medians, key=medians.get)
        text = f"The {MEASURE_NAMES[name]} differs by class (median {medians[low]:.3g} in {low}, "
        text += f"{medians[high]:.3g} in {high}; epsilon squared {strong[name]['effect']:.2f})."
        yield WARNING, text


def _near_duplicate_findings(near):
    if number := near["across_splits"]:
        text = f"{number} pairs of near-duplicates across splits"
        text += ": part of the test is known from training (data.leakage=repair mends it)."
        yield SERIOUS, text
    if number := near["across_classes"]:
        yield WARNING, f"{number} pairs of near-duplicates with different labels: look at them."
    if near["pairs"]:
        yield NOTE, f"{near['pairs']} pairs of near-duplicates in all."


def source_association(manifest, columns=SOURCES):
    """Measure how far the source of a film tells its class.

    Parameters
    ----------
    columns : sequence of str
        Columns that may say where a film is from; those absent, or of one value, are passed over.

    Returns
    -------
    dict of str to dict
        By column: ``cramers_v`` (0 to 1; Cramér 1946, eq. 21.9.1 over its largest value),
        ``sources`` (their number), ``largest`` (of each class, its commonest source and that
        source's share), ``apart`` (pairs of classes without a common source).
    """
    result = {}
    for column in (c for c in columns if c in manifest and manifest[c].nunique() > 1):
        table = pd.crosstab(manifest["label"], manifest[column])
        shares = table.div(table.sum(axis=1), axis=0)
        result[column] = {
            "cramers_v": round(float(association(table.to_numpy(), method="cramer")), 4),
            "sources": table.shape[1],
            "largest": {
                name: {"source": str(row.idxmax()), "share": round(float(row.max()), 4)}
                for name, row in shares.iterrows()
            },
            "apart": [
                [one, other]
                for one, other in combinations(table.index, 2)
                if not ((table.loc[one] > 0) & (table.loc[other] > 0)).any()
            ],
        }
    return result


def by_class(manifest, measures):
    """Compare shape, exposure, border and sharpness between the classes.

    Returns
    -------
    dict of str to dict
        By measure: ``median`` of each class and ``effect``, the rank epsilon squared of Kruskal and
        Wallis, H / (n - 1) (Tomczak & Tomczak 2014): 0 where classes do not differ, 1 where the
        class fixes the measure.
    """
    aspect = manifest["width"] / manifest["height"]
    table = manifest[["width", "height"]].assign(aspect=aspect).join(measures[list(NUMBERS)])
    labels = manifest["label"]
    return {
        name: {
            "median": {
                str(label): round(float(values), 4)
                for label, values in table[name].groupby(labels).median().items()
            },
            "effect": _epsilon_squared(table[name], labels),
        }
        for name in ("width", "height", "aspect", *NUMBERS)
    }


def _epsilon_squared(values, labels):
    parts = [part.to_numpy(float) for _, part in values.groupby(labels)]
    if len(parts) < 2 or len(np.unique(values)) < 2:
        return 0.0
    return round(float(kruskal(*parts).statistic / (len(values) - 1)), 4)
