"""The estimates behind a verdict as rows of a page, how far they reach, and what stands beside."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.drift.metrics import metric_label
from lib.hypotheses.verdicts import STATEMENT
from lib.report.phrases import listed, number, span
from lib.study.names import METHOD_TITLES, label


def interval_rows(verdict: Mapping) -> list[dict]:
    """Rows of a verdict's family: ``what``, ``estimate``, ``low``, ``high``, ``judged``.

    A comparison of architectures has a row per method; values that could not be estimated are None.
    """
    rows = []
    for row in verdict.get("family", ()):
        judged = not row.get("problem") and not row.get("undefined")
        if "estimate" in row:
            what = label(str(row.get("architecture", "")), str(row.get("method", "")))
            # Version 1 of the rules named the control that a row is against.
            if against := str(row.get("comparison", "")).replace("_", " "):
                what += f", against {against}"
            elif row.get("role"):
                what += f" at {row['role']}"
            if not against and (stated := STATEMENT.get(str(row.get("statement", "")))):
                what += f", {stated}"
            told = {what: ("estimate", "low", "high")}
        elif "first" in row:
            pair = f"{label(str(row['first']))} less {label(str(row['second']))}"
            names = {METHOD_TITLES[row[f"method_{side}"]]: f"effect_{side}" for side in "ab"}
            names["interaction"] = "interaction"
            told = {f"{pair}, {title}": (name, f"{name}_low", f"{name}_high")
                    for title, name in names.items()}  # fmt: skip
        else:  # an identity is no estimate and has no interval
            continue
        for what, (value, low, high) in told.items():
            ends = {"estimate": row.get(value), "low": row.get(low), "high": row.get(high)}
            rows.append({"what": what, "judged": judged, **ends})
    return rows


def reach(rows: Sequence[Mapping]) -> str:
    """Words for how far the intervals of a family reach; "" where none was estimated.

    Of a comparison of architectures the interactions alone: they say whether a ranking depends on
    the method.
    """
    chosen = [row for row in rows if row["what"].endswith("interaction")] or rows
    known = pd.DataFrame([row for row in chosen if row["low"] is not None])
    if known.empty:
        return ""
    ends = pd.Series([known["low"].min(), known["high"].max()])
    if len(known) == 1:
        return f"1 estimate: {span(known['estimate'])}; interval {span(ends)}"
    return f"{len(known)} estimates: {span(known['estimate'])}; intervals within {span(ends)}"


def second_reference(verdict: Mapping) -> str:
    """What maps that share nothing but a preference for the centre give; "" without such a prior.

    Unrelated films are the reference that decides. This one does not, as its width is a choice.
    """
    rows = pd.DataFrame(verdict.get("prior", ()))
    if rows.empty:
        return ""
    told = []
    for grid, of in rows.groupby("grid"):
        means = of.set_index("prior")["mean"]
        told.append(
            f"{number(means['centre'], 3)} with a preference for the centre and "
            f"{number(means['uniform'], 3)} without one ({grid} × {grid} squares)"
        )
    measure = metric_label(rows["metric"].iloc[0])
    measure = measure[0].lower() + measure[1:]
    return (
        "A second reference stands apart and decides nothing, as its width is a choice: the "
        f"{measure} of two maps that share nothing else is {listed(told)}."
    )
