"""The report of an audit of two checkpoints: the same pages as that of a study.

``python -m lib audit-report results/audit-a-b`` makes it anew from the audit's tables and maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.findings import CHECKPOINTS, primary_cell
from lib.report import page
from lib.report.digest import PRIMARY, drift_means, public_parameters
from lib.report.page import Kind
from lib.report.tables import Table, shown, study_tables
from lib.report.words import listed, span
from lib.study import names
from lib.study.artefacts import begin, read_manifest, read_table
from lib.study.paths import StudyPaths

QUESTION = "Did the evidence of this model move?"

MOVED = (
    (1.0, "none", "Not as far as can be seen"),
    (0.8, "little", "Hardly"),
    (0.5, "some", "In part"),
    (0.2, "most", "Yes"),
    (-np.inf, "nearly all", "Yes"),
)
"""Retained evidence R from which on so much has moved, and the answer where at least that has."""


def words_of_scale() -> str:
    """What the words for R mean, in one sentence."""
    parts = [f"{amount} from {bound:g}" for bound, amount, _ in MOVED[1:-1]]
    (most, none, _), (_, rest, _) = MOVED[0], MOVED[-1]
    return (
        f"Of the evidence moved: {none} at R of {most:g} or more, {', '.join(parts)}, {rest} below."
    )


_CAPTIONS = {
    "support": "Films by class, and those that both checkpoints classify correctly (the common "
    "support).",
    "drift": "Overlap of the strongest 20 % of cells, mean over the common support; 1 = the same "
    "places, 0 = none in common. Pairs and blank count the pairs of maps before → after: scored, "
    "and not scored because a map is blank.",
    "metrics": "All drift metrics before → after, mean over the common support.",
    "retained": "Retained evidence R with 95 % intervals over patients: 1 = as when the same "
    "checkpoint is explained twice, 0 = as maps of unrelated films. " + words_of_scale(),
    "blanks": "Blank maps (zero everywhere, constant or not finite) over all films; cells without "
    "any are left out.",
    "priors": "How alike are maps that share nothing, by size of the grid in cells: a preference "
    "for the centre alone gives this much.",
}


_MEASURED = (
    "What a rule can be held against, at the deepest layer with the first method, with 95 % "
    "intervals over patients: of the common support, and accuracy of all films."
)
_RULE = (
    "The rule that was stated beforehand: passed where the whole interval lies on the good side of "
    "the bound, failed where it lies on the bad one."
)
_LISTED = 3  # criteria of a verdict that the first screen names; the table has all
_WIDE = 3  # steps of `MOVED` from one end of an interval to the other that say too little
_CONTROLS = {
    "explainer": "{} where the same checkpoint is explained twice",
    "ceiling": "{} between maps of different patients' films",
    "randomised": "{} where the weights are permuted",
}


def moved_sentence(retained: pd.DataFrame | None, cell: tuple[str, str]) -> str:
    """Whether the evidence moved, by where the interval of R lies; "" where R is not known.

    Parameters
    ----------
    retained : DataFrame or None
        ``role``, ``method``, ``metric``, ``estimate``, ``low``, ``high``.
    cell : tuple of str
        Role and method.
    """
    if retained is None:
        return ""
    row = retained.set_index(["metric", "role", "method"]).loc[(PRIMARY, *cell)]
    value, low, high = (float(row[key]) for key in ("estimate", "low", "high"))
    if not np.isfinite(value):
        return ""
    share = f"retained evidence R is {_number(value)}"
    if min(value, low) >= 1:
        return f"No: {share}, where 1 is the same checkpoint explained twice."
    if not np.isfinite([low, high]).all():
        return f"It cannot be told: {share}, and the interval has no end."
    share += f" (95\u00a0% interval over patients {span(pd.Series([low, high]))})"
    scale = "where 1 is the same checkpoint explained twice and 0 are maps of unrelated films"
    least, most = (
        next(place for place, (bound, *_) in enumerate(MOVED) if end >= bound)
        for end in (high, low)
    )
    said = MOVED[least][2] if most - least < _WIDE else "It cannot be told"
    amount = " to ".join(dict.fromkeys((MOVED[least][1], MOVED[most][1])))
    return f"{said}: {amount} of it moved. {share[0].upper()}{share[1:]}, {scale}."


def rule_sentence(judged: pd.DataFrame | None) -> str:
    """Verdict by the rule, and the criteria that are not passed; "" without a rule.

    Parameters
    ----------
    judged : DataFrame or None
        As `lib.checkpoint_audit.rule.judge`.
    """
    if judged is None:
        return ""
    sentences = [f"By the rule that was stated beforehand: {rules.verdict(judged)}"]
    for verdict in (rules.FAILED, rules.OPEN):
        rows = [row for _, row in judged[judged["verdict"] == verdict].iterrows()]
        parts = [f"{rules.words(row)}, found {rules.found(row)}" for row in rows[:_LISTED]]
        if more := len(rows) - len(parts):
            parts.append(f"{more} more")
        if parts:
            sentences.append(f"{verdict.capitalize()}: {'; '.join(parts)}")
    return ". ".join(sentences) + "."


def overlap_sentence(drift: pd.DataFrame, support: pd.DataFrame, cell: tuple[str, str]) -> str:
    """Overlap of the strongest cells at one layer, with the controls beside it.

    Parameters
    ----------
    drift, support : DataFrame
        ``tables/drift.csv`` and ``tables/support.csv`` of an audit.
    cell : tuple of str
        Role and method.
    """
    films, common = int(support["films"].sum()), int(support["common"].sum())
    where = f"On the {common} of {films} films that both checkpoints classify correctly"
    means = drift_means(drift).droplevel("architecture")
    own = means.loc[cell].dropna()
    if "change" not in own:
        return f"{where} no two maps could be compared."
    text = f"{where}, the strongest 20\u00a0% of the cells of a film's two maps overlap by "
    text += f"{_number(own['change'])} (1 = the same places)"
    parts = [words.format(_number(own[name])) for name, words in _CONTROLS.items() if name in own]
    text += f", against {listed(parts)}." if parts else "."
    at = f"{names.METHOD_TITLES.get(cell[1], cell[1])} at {cell[0]}"
    return f"{text} That is {at}; over all layers and methods it is {span(means['change'])}."


def _number(value: float) -> str:
    return span(pd.Series([value]))


def accuracy_sentence(performance: pd.DataFrame) -> str:
    """How accuracy and macro AUC changed.

    Parameters
    ----------
    performance : DataFrame
        ``checkpoint``, ``n``, ``accuracy``, ``macro_auc``.
    """
    rows = performance.set_index("checkpoint").loc[list(CHECKPOINTS)]
    parts = [
        f"{name} is {_number(before)} before and {_number(after)} after"
        for name, (before, after) in (
            ("accuracy", rows["accuracy"]), ("macro AUC", rows["macro_auc"])
        )
        if np.isfinite([before, after]).all()
    ]  # fmt: skip
    return f"On {int(rows['n'].iloc[0])} films {listed(parts)}." if parts else ""


def answer(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None = None) -> list[str]:
    """The sentences of the first screen: whether it moved, by how much, and accuracy.

    Parameters
    ----------
    verdicts : None
        An audit has none.
    """
    cell = primary_cell(tables["drift"])
    sentences = (
        rule_sentence(tables.get("rule")),
        moved_sentence(tables.get("retained"), cell),
        overlap_sentence(tables["drift"], tables["support"], cell),
        accuracy_sentence(tables["performance"]),
    )
    return [sentence for sentence in sentences if sentence]


def audit_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """What a report shows of an audit's tables.

    Returns
    -------
    dict of str to Table
    """
    alike = study_tables({name: tables[name] for name in _CAPTIONS if name in tables})
    found = {name: replace(table, caption=_CAPTIONS[name]) for name, table in alike.items()}
    scores = tables["performance"].set_index("checkpoint").drop(columns="architecture")
    scores = _measured(scores.rename(columns={"n": "films"}).reset_index(), counts=["films"])
    explained = tables["layers"][tables["layers"]["explained"]]
    return found | {
        "performance": shown("performance", "All films, by checkpoint.", scores),
        "outcomes": shown(
            "outcomes",
            "Overlap of the strongest cells before → after by what became of the decision, over "
            "all films: kept-correct, rescued (wrong, then right), lost, kept-wrong.",
            _outcomes(tables["strata"]),
        ),
        "checkpoints": shown("checkpoints", "The two files and what is in them.",
                             _side_by_side(tables["checkpoints"])),
        "measured": shown("measured", _MEASURED, tables["measured"]),
        **({"rule": shown("rule", _RULE, tables["rule"])} if "rule" in tables else {}),
        "mapping": shown(
            "mapping",
            "Do the outputs mean the classes? Accuracy in the given order of classes and in the "
            "best one; p: no better than always naming the most frequent class.",
            _measured(tables["mapping"]),
        ),
        "explained": shown("explained", "The layers that were explained.", explained),
        "layers": shown("layers", "All layers that could be explained, from input to output.",
                        tables["layers"]),
    }  # fmt: skip


def _measured(table: pd.DataFrame, counts: Sequence[str] = ()) -> pd.DataFrame:
    """A table whose numbers are no counts, even where a CSV has a whole one."""
    numbers = table.select_dtypes("number").columns.difference(counts)
    return table.astype(dict.fromkeys(numbers, float))


def _side_by_side(checkpoints: pd.DataFrame) -> pd.DataFrame:
    return checkpoints.set_index("checkpoint").T.astype(str).rename_axis("fact").reset_index()


def _outcomes(strata: pd.DataFrame) -> pd.DataFrame:
    rows = strata.query("metric == @PRIMARY and pairing == 'change'")
    return rows[["role", "method", "stratum", "mean", "sd", "n", "blank"]]


AUDIT = Kind(
    page="audit.html.j2",
    films="films",
    floor="explained twice",
    findings="findings.json",
    read=(*_CAPTIONS, "performance", "strata", "checkpoints", "mapping", "measured", "layers"),
    figures={
        "answer": "Overlap of the strongest cells at the deepest layer: the grey bar reaches from "
        "maps of unrelated films to the same checkpoint explained twice.",
        "confusions": "True (rows) and predicted classes of both checkpoints.",
        "controls": "Overlap of the strongest cells between its controls, by layer and method.",
        "drift_distributions": "The overlap film by film.",
    },
    tables=audit_tables,
    answer=answer,
)
"""The report of an audit."""


def write(paths: StudyPaths) -> Path:
    """Write the report of a finished audit into its folder; return the first page.

    Films and their names are shown only if the audit was told that they are shareable.

    Raises
    ------
    ArtefactError
        If the audit is not complete or has changed since.
    """
    drift = paths.tables / "drift.csv"
    found = read_manifest(drift)["parameters"]
    record = begin(paths.report, parameters=public_parameters(found), inputs=[drift])
    audited = read_table(paths.tables / "checkpoints.csv")["file"]
    kind, verdict = _judged(paths, rules.Rule(**found.get("rule", {})))
    files = page.write(
        paths, paths.report.parent, classes=found["classes"],
        shareable=found["data"]["shareable"], title=f"Audit of {' → '.join(audited)}",
        question=QUESTION, kind=kind,
    )  # fmt: skip
    record.complete(*files[1:], *verdict)
    return paths.report


def _judged(paths: StudyPaths, rule: rules.Rule) -> tuple[Kind, list[Path]]:
    """The kind of report that shows the verdict on an audit, and the files that hold it."""
    if not rule.bounds:
        for file in rules.FILES:
            (paths.root / file).unlink(missing_ok=True)
        return AUDIT, []
    judged = rules.judge(rule, read_table(paths.tables / "measured.csv"))

    def with_rule(make):
        return lambda tables, *verdicts: make({**tables, "rule": judged}, *verdicts)

    kind = replace(AUDIT, tables=with_rule(audit_tables), answer=with_rule(answer))
    return kind, rules.write(judged, paths.root)
