"""The first page of an audit of several versions or findings: what was found for each question."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.findings import primary_cell
from lib.checkpoint_audit.questions import CHECKPOINTS, Question, read_all
from lib.checkpoint_audit.sentences import QUESTION, answer_word, moved_sentence
from lib.figures import style
from lib.figures.answer import trend
from lib.report import page
from lib.report.words import span
from lib.study.artefacts import begin, read_table, write_table, write_text
from lib.study.paths import StudyPaths

_STEPS = ("first", "second")


def overview_table(asked: Sequence[tuple[Path, Question]]) -> pd.DataFrame:
    """What was found for every question.

    Returns
    -------
    DataFrame
        ``folder``, ``finding``, ``before``, ``after``, ``first`` and ``second`` (places of the
        versions, from 1), ``films``, ``common`` (classified correctly by both), ``auc_before``,
        ``auc_after``, ``estimate``, ``low``, ``high`` of retained evidence R, ``answer`` in words,
        ``verdict`` by the rule ("" without one).
    """
    rows = []
    for folder, question in asked:
        tables = folder / "tables"
        scores = read_table(tables / "performance.csv").set_index("checkpoint")["macro_auc"]
        retained = read_table(tables / "retained.csv")
        cell = primary_cell(read_table(tables / "drift.csv"))
        found = retained.set_index(["metric", "role", "method"]).loc[("iou_top20", *cell)]
        support = read_table(tables / "support.csv")
        told = (folder / rules.FILES[0]).exists()
        rows.append(
            {
                "folder": question.folder, "finding": question.finding, "before": question.before,
                "after": question.after,
                **{key: step + 1 for key, step in zip(_STEPS, question.steps, strict=True)},
                "films": support["films"].sum(), "common": support["common"].sum(),
                **{f"auc_{name}": scores[name] for name in CHECKPOINTS},
                **found[["estimate", "low", "high"]], "answer": moved_sentence(retained, cell),
                "verdict": rules.VERDICTS[rules.exit_code(folder)] if told else "",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> list[str]:
    """How many questions have which answer, and of several versions where evidence moved most."""
    counts = table["answer"].map(answer_word).value_counts()
    told = "; ".join(f"{word}: {count}" for word, count in counts.items())
    sentences = [f"{len(table)} questions. {told}."]
    steps = table[table["second"] == table["first"] + 1].dropna(subset="estimate")
    if steps["first"].nunique() > 1:
        by_step = steps.groupby(["before", "after"], sort=False)["estimate"]
        least = by_step.mean().idxmin()
        lowest = by_step.get_group(least)
        sentences.append(
            f"From one version to the next, evidence moved most from {least[0]} to {least[1]}: "
            f"retained evidence R is {span(lowest)} there."
        )
    return sentences


def write(paths: StudyPaths) -> Path:
    """Write the overview of a finished audit of several questions; return the page.

    Raises
    ------
    ArtefactError
        If a table is missing.
    """
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
