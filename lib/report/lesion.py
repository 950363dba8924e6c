"""Known evidence in words: how much of the maps lies in the lesion, before and after fine-tuning.

From ``tables/evidence.csv`` and ``tables/evidence_change.csv``; a study whose lesions are not known
has nothing to say here. Test films with a lesion count, however they are classified.
"""

from collections.abc import Mapping

import pandas as pd

from lib.report.phrases import CELL, LAYERS, listed, number, percent, span
from lib.study.names import METHOD_TITLES, label

ROLES = ("post_activation", "stage4")
"""The pooled map, where the first sentences look, and the finer one, where lesions can be told."""
MEASURES = {
    "lesion_mass": "share of the map",
    "lesion_enrichment": "times the area (1 = chance)",
    "lesion_hit": "strongest place on it (share of the films)",
}
_STAGES = {"finetune": "after", "placebo": "placebo", "randomised": "random_weights"}
_KEYS = ["architecture", "role", "measure"]


def known_evidence(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What of the maps lies in the lesion, of one method at `ROLES`.

    Means ``before`` (of the checkpoint that the fine-tunings started from: ``after`` less
    ``change``) and ``after`` fine-tuning, of the ``placebo`` and with ``random_weights`` (those
    that there are), ``by_chance`` (a map that is the same everywhere), and ``change`` (of the same
    films) with its interval over patients. Empty without lesions.
    """
    given = [tables.get(name) for name in ("evidence", "evidence_change")]
    if any(table is None or table.empty for table in given):
        return pd.DataFrame()
    levels, changes = (
        table[table["method"].eq(CELL["method"]) & table["role"].isin(ROLES)
              & table["measure"].isin(MEASURES) & table["n"].gt(0)]
        for table in given
    )  # fmt: skip
    found = levels.pivot_table(index=_KEYS, columns="stage", values="mean", sort=False)
    found = found.rename(columns=_STAGES)[[n for s, n in _STAGES.items() if s in found]]
    tuned = changes[changes["pairing"] == "finetune"].set_index(_KEYS)
    found = found.join(levels.groupby(_KEYS)["uniform"].mean().rename("by_chance"))
    found = found.join(tuned[["mean", "low", "high"]].rename(columns={"mean": "change"}))
    if "after" not in found:
        return pd.DataFrame()
    found.insert(0, "before", found["after"] - found["change"])
    return found.dropna(subset="before").reset_index()


def _gains(rows: pd.DataFrame) -> str:
    """How many networks gained, by intervals: "2 of 3 networks"."""
    more, count = (rows["low"] > 0).sum(), len(rows)
    less = (rows["high"] < 0).sum()
    lost = f" (and less in {less})" if less else ""
    return f"{more} of {count} network{'s' * (count != 1)}{lost}"


def _beside(rows: pd.DataFrame, form) -> list[str]:
    """The controls, those that there are, in a form for numbers."""
    controls = {"placebo": "{} with the placebo", "random_weights": "{} with random weights",
                "by_chance": "{} by chance"}  # fmt: skip
    return [
        text.format(form(rows[name].dropna()))
        for name, text in controls.items()
        if name in rows and rows[name].notna().any()
    ]


def _layers(found: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Layers in the order of `ROLES`: role, name for readers, and its rows by measure."""
    there = [role for role in ROLES if len(found) and (found["role"] == role).any()]
    return [(role, LAYERS.get(role, role), found[found["role"] == role]) for role in there]


def short(tables: Mapping[str, pd.DataFrame]) -> str:
    """Whether fine-tuning moved evidence onto the lesion, in a sentence; "" without lesions."""
    parts = []
    for _, layer, rows in reversed(_layers(known_evidence(tables))):
        mass = rows[rows["measure"] == "lesion_mass"]
        if len(mass):
            beside = [f"{percent(mass['before'])} of the map before",
                      f"{percent(mass['after'])} after", *_beside(mass, percent)]  # fmt: skip
            numbers = "" if parts else f" ({', '.join(beside)})"
            parts.append(f"at {layer} in {_gains(mass)}{numbers}")
    if not parts:
        return ""
    return (
        "The lesions are known: more of the map lies in them after fine-tuning "
        f"{', '.join(parts)}; {METHOD_TITLES[CELL['method']]}, 95\u00a0% intervals over patients, "
        "for these seeds."
    )


def sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Share in the lesion, enrichment and hits, before and after, a sentence or two per layer."""
    told = []
    for _, layer, rows in _layers(known_evidence(tables)):
        of = {name: rows[rows["measure"] == name] for name in MEASURES}
        mass, times, hits = of.values()
        if mass.empty:
            continue
        parts = [
            f"from {number(row.before, 3)} to {number(row.after, 3)} ({label(row.architecture)}, "
            f"by {number(row.change, 3)}, {number(row.low, 3)} to {number(row.high, 3)})"
            for row in mass.itertuples()
        ]
        text = f"At {layer} fine-tuning takes the share of the {METHOD_TITLES[CELL['method']]} map "
        text += f"that lies in the lesion {listed(parts)}; it is "
        text += f"{listed(_beside(mass, lambda values: span(values, 3)))}."
        if len(times):
            text += f" That is {span(times['before'], 1)} times the area of the lesion before and "
            text += f"{span(times['after'], 1)} times after, more in {_gains(times)}; "
            text += f"{listed(_beside(times, lambda values: span(values, 1)))}."
        if len(hits):
            text += f" The strongest place touches the lesion in {percent(hits['before'])} of the "
            text += f"films before and {percent(hits['after'])} after, more in {_gains(hits)}; "
            text += f"{listed(_beside(hits, percent))}."
        told.append(text)
    return told
