"""The pages of an audit: the report of a question, as of a study, and the first page of several.

``python -m lib audit-report results/audit-a-b`` makes them anew from the audit's tables and maps.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.findings import primary_cell
from lib.checkpoint_audit.questions import CHECKPOINTS, Question, read_all
from lib.checkpoint_audit.sentences import QUESTION, answer, moved_sentence
from lib.checkpoint_audit.sentences import words_of_scale as scale
from lib.figures import style
from lib.figures.answer import trend
from lib.report import marks, page
from lib.report.digest import PRIMARY, public_parameters
from lib.report.page import Kind
from lib.report.phrases import span
from lib.report.tables import Cell, Table, shown, study_tables
from lib.study.artefacts import begin, read_manifest, read_table, write_table, write_text
from lib.study.paths import StudyPaths

_CAPTIONS = {
    "support": "Films by class, and those that both checkpoints classify correctly (the common "
    "support).",
    "drift": "Overlap of the strongest 20 % of cells, mean over the common support; 1 = the same "
    "places, 0 = none in common. Pairs and blank count the pairs of maps before → after: scored, "
    "and not scored because a map is blank.",
    "metrics": "All drift metrics before → after, mean over the common support.",
    "retained": "Retained evidence R with 95 % intervals over patients: 1 = as when the same "
    "checkpoint is explained twice, 0 = as maps of unrelated films. " + scale(),
    "blanks": "Blank maps (zero everywhere, constant or not finite) over all films; cells without "
    "any are left out.",
    "priors": "How alike are maps that share nothing, by size of the grid in cells: a preference "
    "for the centre alone gives this much.",
}
"""Of the tables that a study has too."""
_OWN = {
    "performance": "All films, by checkpoint.",
    "outcomes": "Overlap of the strongest cells before → after by what became of the decision, "
    "over all films: kept-correct, rescued (wrong, then right), lost, kept-wrong.",
    "checkpoints": "The two files and what is in them.",
    "measured": "What a rule can be held against, at the deepest layer with the first method, with "
    "95 % intervals over patients: of the common support, and accuracy of all films.",
    "rule": "The rule that was stated beforehand: passed where the whole interval lies on the good "
    "side of the bound, failed where it lies on the bad one.",
    "lesion": "Evidence in the lesion, on films whose lesion is known: its share of the map, that "
    "share by the share of the film that it covers (enrichment, 1 = chance), and whether the "
    "highest cell touches it (the pointing game). By chance: area for a map that is the same "
    "everywhere or a cell drawn blindly, centre for a preference for the middle. Intervals of the "
    "change are over patients.",
    "mapping": "Do the outputs mean the classes? Accuracy in the given order of classes and in the "
    "best one; p: no better than always naming the most frequent class.",
    "explained": "The layers that were explained.",
    "layers": "All layers that could be explained, from input to output.",
}


def audit_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """What a report shows of an audit's tables."""
    names = [name for name in (*_CAPTIONS, "faithfulness", "perturbed") if name in tables]
    alike = study_tables({name: tables[name] for name in names})
    if not tables["drift"]["pairing"].eq("explainer").any():
        alike["drift"] = _without_floor(alike["drift"])
    for name in alike.keys() & _CAPTIONS:
        notes = [note for note in marks.NOTES.values() if note in alike[name].caption]
        alike[name] = replace(alike[name], caption=" ".join([_CAPTIONS[name], *notes]))
    strata, layers = tables["strata"], tables["layers"]
    scores = tables["performance"].set_index("checkpoint").drop(columns="architecture")
    change = strata["metric"].eq(PRIMARY) & strata["pairing"].eq("change")
    outcomes = ["role", "method", "stratum", "mean", "sd", "n", "blank"]
    facts = tables["checkpoints"].set_index("checkpoint").T.astype(str)
    own = {
        "performance": _measured(scores.rename(columns={"n": "films"}).reset_index()),
        "outcomes": strata.loc[change, outcomes],
        "checkpoints": facts.rename_axis("fact").reset_index(),
        **{x: tables[x] for x in ("measured", "rule", "lesion") if x in tables},
        "mapping": _measured(tables["mapping"]),
        "explained": layers[layers["explained"]],
        "layers": layers,
    }
    return alike | {name: shown(name, _OWN[name], table) for name, table in own.items()}


def _without_floor(table: Table) -> Table:
    """Drift where nothing was explained twice, with a column that says so."""
    at = table.columns.index("change")

    def put(row: tuple, what) -> tuple:
        return (*row[:at], what, *row[at:])

    rows = tuple(put(row, Cell("not measured", "", number=False)) for row in table.rows)
    names = {key: put(getattr(table, key), "explainer") for key in ("columns", "heads")}
    return replace(table, rows=rows, **names)


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose numbers are no counts, but for films, even where a CSV has a whole one."""
    numbers = table.select_dtypes("number").columns.difference(["films"])
    return table.astype(dict.fromkeys(numbers, float))


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
    """Write the report of a question that is answered into its folder; return the first page.

    Films and their names are shown only if the audit was told that they are shareable.
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


def overview_table(asked: Sequence[tuple[Path, Question]]) -> pd.DataFrame:
    """What was found for every question.

    ``folder``, ``finding``, ``before``, ``after``, ``first`` and ``second`` (places of the
    versions, from 1), ``films``, ``common`` (classified correctly by both), ``auc_before``,
    ``auc_after``, ``estimate``, ``low``, ``high`` of retained evidence R, ``answer`` in words,
    ``verdict`` by the rule ("" without one).
    """
    rows = []
    for folder, question in asked:
        scores, retained, drift, support = (
            read_table(folder / f"tables/{name}.csv")
            for name in ("performance", "retained", "drift", "support")
        )
        scores, cell = scores.set_index("checkpoint")["macro_auc"], primary_cell(drift)
        found = retained.set_index(["metric", "role", "method"]).loc[(PRIMARY, *cell)]
        first, second = question.steps
        told = (folder / rules.FILES[0]).exists()
        rows.append(
            {
                "folder": question.folder, "finding": question.finding, "before": question.before,
                "after": question.after, "first": first + 1, "second": second + 1,
                "films": support["films"].sum(), "common": support["common"].sum(),
                **{f"auc_{name}": scores[name] for name in CHECKPOINTS},
                **found[["estimate", "low", "high"]], "answer": moved_sentence(retained, cell),
                "verdict": rules.VERDICTS[rules.exit_code(folder)] if told else "",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> list[str]:
    """How many questions have which answer, and of several versions where evidence moved most."""
    words = table["answer"].map(lambda answer: answer.partition(":")[0] or "It cannot be told")
    counts = words.value_counts()
    told = "; ".join(f"{word}: {count}" for word, count in counts.items())
    sentences = [f"{len(table)} questions. {told}."]
    steps = table[table["second"] == table["first"] + 1].dropna(subset="estimate")
    if steps["first"].nunique() > 1:
        by_step = steps.groupby(["before", "after"], sort=False)["estimate"]
        least = by_step.mean().idxmin()
        sentences.append(
            f"From one version to the next, evidence moved most from {least[0]} to {least[1]}: "
            f"retained evidence R is {span(by_step.get_group(least))} there."
        )
    return sentences


def write_overview(paths: StudyPaths) -> Path:
    """Write the overview of a finished audit of several questions; return the page."""
    asked = read_all(paths.root)
    record = begin(paths.report, parameters={}, inputs=[f / "report/index.html" for f, _ in asked])
    table, folder = overview_table(asked), paths.report.parent
    shutil.rmtree(folder, ignore_errors=True)
    style.style()
    style.save(trend(table), folder / "figures/trend")
    write_table(paths.tables / "overview.csv", table)
    text = page.environment().get_template("overview.html.j2").render(
        title=f"Audit {paths.study.removeprefix('audit-')}", question=QUESTION,
        summary=summary(table), rows=[row for _, row in table.iterrows()], span=_interval,
        several=table["second"].max() > 2, root="",
    )  # fmt: skip
    write_text(paths.report, text)
    shutil.copyfile(page.TEMPLATES / "report.css", folder / "report.css")
    record.complete(folder / "report.css", *(folder / "figures").iterdir())
    return paths.report


def _interval(row: pd.Series) -> str:
    """R with its interval, as text."""
    if pd.isna(row["estimate"]):
        return "–"
    return f"{span(row[['estimate']])} ({span(row[['low', 'high']])})"
