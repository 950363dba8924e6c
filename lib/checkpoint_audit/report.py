"""The report of a question of an audit: the same pages as that of a study.

``python -m lib audit-report results/audit-a-b`` makes it anew from the audit's tables and maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.questions import Question
from lib.checkpoint_audit.sentences import QUESTION, answer, words_of_scale
from lib.report import marks, page
from lib.report.digest import PRIMARY, public_parameters
from lib.report.page import Kind
from lib.report.tables import Cell, Table, shown, study_tables
from lib.study.artefacts import begin, read_manifest, read_table
from lib.study.paths import StudyPaths

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


_LESION = (
    "Evidence in the lesion, on films whose lesion is known: its share of the map, that share by "
    "the share of the film that it covers (enrichment, 1 = chance), and whether the highest cell "
    "touches it (the pointing game). By chance: area for a map that is the same everywhere or a "
    "cell drawn blindly, centre for a preference for the middle. Intervals of the change are over "
    "patients."
)
_MEASURED = (
    "What a rule can be held against, at the deepest layer with the first method, with 95 % "
    "intervals over patients: of the common support, and accuracy of all films."
)
_PERTURBED = (
    "Do maps stay where the prediction stays, and follow where it changes? Noise, less contrast "
    "and blur were put on films. Resistance: overlap of the two maps where the prediction stays, "
    "1 = the same map. Relevance: how much less they overlap where it changes, under the same "
    "change of the film; 0 = the map does not heed the prediction. With 95 % intervals over "
    "patients."
)
_RULE = (
    "The rule that was stated beforehand: passed where the whole interval lies on the good side of "
    "the bound, failed where it lies on the bad one."
)


def audit_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """What a report shows of an audit's tables.

    Returns
    -------
    dict of str to Table
    """
    names = [name for name in (*_CAPTIONS, "faithfulness") if name in tables]
    alike = study_tables({name: tables[name] for name in names})
    if not tables["drift"]["pairing"].eq("explainer").any():
        alike["drift"] = _without_floor(alike["drift"])
    found = {
        name: replace(table, caption=_caption(name, table.caption)) for name, table in alike.items()
    }
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
        **({"perturbed": shown("perturbed", _PERTURBED, tables["perturbed"])}
           if "perturbed" in tables else {}),
        **({"rule": shown("rule", _RULE, tables["rule"])} if "rule" in tables else {}),
        **({"lesion": shown("lesion", _LESION, tables["lesion"])} if "lesion" in tables else {}),
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


def _without_floor(table: Table) -> Table:
    """Drift where nothing was explained twice, with a column that says so."""
    at = table.columns.index("change")

    def put(row: tuple, what) -> tuple:
        return (*row[:at], what, *row[at:])

    cell = Cell("not measured", "", number=False)
    rows = tuple(put(row, cell) for row in table.rows)
    names = {key: put(getattr(table, key), "explainer") for key in ("columns", "heads")}
    return replace(table, rows=rows, **names)


def _caption(name: str, study: str) -> str:
    """The caption of an audit's table, with what its marks mean; else that of the study."""
    notes = [note for note in marks.NOTES.values() if note in study]
    return " ".join([_CAPTIONS[name], *notes]) if name in _CAPTIONS else study


def _measured(table: pd.DataFrame, counts: Sequence[str] = ()) -> pd.DataFrame:
    """A table whose numbers are no counts, even where a CSV has a whole one."""
    numbers = table.select_dtypes("number").columns.difference(counts)
    return table.astype(dict.fromkeys(numbers, float))


def _side_by_side(checkpoints: pd.DataFrame) -> pd.DataFrame:
    return checkpoints.set_index("checkpoint").T.astype(str).rename_axis("fact").reset_index()


def _outcomes(strata: pd.DataFrame) -> pd.DataFrame:
    rows = strata[strata["metric"].eq(PRIMARY) & strata["pairing"].eq("change")]
    return rows[["role", "method", "stratum", "mean", "sd", "n", "blank"]]


AUDIT = Kind(
    page="audit.html.j2",
    films="films",
    floor="explained twice",
    findings="findings.json",
    read=(
        *(*_CAPTIONS, "performance", "strata", "checkpoints", "mapping", "measured", "layers"),
        *("lesion", "faithfulness", "perturbed"),
    ),
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


def write(paths: StudyPaths, question: Question) -> Path:
    """Write the report of a question into its folder; return the first page.

    Films and their names are shown only if the audit was told that they are shareable.

    Raises
    ------
    ArtefactError
        If the audit is not complete or has changed since.
    """
    drift = paths.tables / "drift.csv"
    found = read_manifest(drift)["parameters"]
    record = begin(paths.report, parameters=public_parameters(found), inputs=[drift])
    kind, verdict = _judged(paths, rules.Rule(**found.get("rule", {})))
    files = page.write(
        paths, paths.report.parent, classes=found["classes"],
        shareable=found["data"]["shareable"], title=f"Audit of {question.title}",
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
