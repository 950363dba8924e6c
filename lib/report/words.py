"""The answer of a report in sentences, every number of them read from the study's tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.hypotheses.verdicts import STATEMENT, VERDICTS
from lib.report.digest import drift_means, stage_means
from lib.study.names import METHOD_TITLES, label

_STAGES = ["transfer", "finetune"]


def listed(words: Sequence[str]) -> str:
    """Words joined as in a sentence: "a, b and c"."""
    words = [str(word) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def span(values: pd.Series) -> str:
    """Lowest and highest value, two decimals: "0.16 to 0.65", or "0.50" where they are alike."""
    # "+ 0" of what is rounded: no minus before zero.
    low, high = (f"{round(value, 2) + 0:.2f}" for value in (values.min(), values.max()))
    return (low if low == high else f"{low} to {high}").replace("-", "−")


def accuracy_sentence(performance: pd.DataFrame | None) -> str:
    """How macro AUC changed between the first and the last stage, by architecture; "" if unknown.

    Parameters
    ----------
    performance : DataFrame or None
        ``architecture``, ``checkpoint``, ``split``, ``n``, ``macro_auc``.
    """
    if performance is None:
        return ""
    means = stage_means(performance, "macro_auc")
    known = means.dropna(subset=_STAGES) if set(_STAGES) <= set(means) else means[:0]
    if known.empty:
        return ""
    films = int(performance.query("split == 'test'")["n"].max())
    parts = [
        f"{first:.3f} to {last:.3f} ({label(name)})"
        for name, (first, last) in known[_STAGES].iterrows()
    ]
    runs = performance["checkpoint"].drop_duplicates().str.split("-").str[0].value_counts()
    seeds = " (means over seeds)" if runs.max() > 1 else ""
    return f"On {films} test films fine-tuning takes macro AUC from {listed(parts)}{seeds}."


def drift_sentence(drift: pd.DataFrame | None, support: pd.DataFrame | None) -> str:
    """Overlap of the strongest cells, with the controls beside it; "" if there is none.

    Parameters
    ----------
    drift : DataFrame or None
        ``architecture``, ``role``, ``method``, ``pairing``, ``metric``, ``mean``, ``n``, ``blank``.
    support : DataFrame or None
        ``common``: films of the common support by class.
    """
    if drift is None:
        return ""
    means = drift_means(drift).dropna(axis=1, how="all")
    where = "the films that every checkpoint classifies correctly"
    if support is not None:
        where = f"the {int(support['common'].sum())} of {int(support['films'].sum())} test films "
        where += "that every checkpoint of every architecture classifies correctly"
    if "finetune" not in means:
        return f"On {where} no pair of maps could be compared."
    tuned = span(means["finetune"])
    sentence = f"On {where} the strongest 20\u00a0% of the cells of the two maps overlap by "
    sentence += f"{tuned} (mean by architecture, layer and method; 1 = same places)"
    controls = {
        "placebo": "{} where only the head was trained on",
        "finetune_seeds": "{} between fine-tunings that differ only in their seed",
        "ceiling": "{} between maps of different patients' films",
    }
    parts = [text.format(span(means[name])) for name, text in controls.items() if name in means]
    return f"{sentence}{', against ' + listed(parts) if parts else ''}."


def verdict_sentence(verdicts: Mapping[str, Mapping] | None) -> str:
    """Which hypotheses have which verdict, by the rules set beforehand; "" without verdicts."""
    if not verdicts:
        return ""
    groups: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        groups.setdefault(verdict["verdict"], []).append(name)
    order = sorted(groups, key=[*VERDICTS, *groups].index)
    parts = [f"{listed(groups[v])} {'is' if len(groups[v]) == 1 else 'are'} {v}" for v in order]
    return f"By the rules that were set beforehand, {listed(parts)}."


def answer(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None) -> list[str]:
    """The sentences of the first screen: accuracy, drift, verdicts; those that can be said."""
    sentences = (
        accuracy_sentence(tables.get("performance")),
        drift_sentence(tables.get("drift"), tables.get("support")),
        verdict_sentence(verdicts),
    )
    return [sentence for sentence in sentences if sentence]


def interval_rows(verdict: Mapping) -> list[dict]:
    """Rows of a verdict's family: ``what``, ``estimate``, ``low``, ``high``, ``judged``.

    A comparison of architectures has a row per method; values that could not be estimated are None.
    """
    rows = []
    for row in verdict.get("family", ()):
        judged = not row.get("problem") and not row.get("undefined")
        if "estimate" in row:
            what = label(str(row.get("architecture", "")), str(row.get("method", "")))
            stated = STATEMENT.get(str(row.get("statement", "")), "")
            where = f"{what} at {row['role']}" if row.get("role") else what
            rows.append(_row(f"{where}, {stated}" if stated else where, row, "", judged))
            continue
        pair = f"{label(str(row['first']))} less {label(str(row['second']))}"
        for side in ("a", "b"):
            method = METHOD_TITLES[row[f"method_{side}"]]
            rows.append(_row(f"{pair}, {method}", row, f"effect_{side}", judged))
        rows.append(_row(f"{pair}, interaction", row, "interaction", judged))
    return rows


def _row(what: str, row: Mapping, prefix: str, judged: bool) -> dict:
    keys = ("estimate", "low", "high")
    names = keys if not prefix else (prefix, f"{prefix}_low", f"{prefix}_high")
    found = {key: row.get(name) for key, name in zip(keys, names, strict=True)}
    return {"what": what, "judged": judged, **found}


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
