"""Publish a finished study: ``python -m lib publish STUDY`` copies its numbers and figures.

``results/reference/<study>`` then holds the small tables, the figures, the provenance and a page of
text whose every number comes from those tables. No film leaves a study whose data are not
shareable: its figures were drawn without films.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.models.convergence import sentence
from lib.published import executed, front, looks, recompute
from lib.report import marks
from lib.report import page as report
from lib.report.digest import cost, drift_means, manifests, provenance, stage_means, verdicts
from lib.report.words import counted
from lib.study.artefacts import read_table, require, write_json, write_text
from lib.study.paths import ROOT, StudyPaths
from lib.study.schema import TABLES

_SHOWN = ("support", "strata", "performance", "drift")
_SHOWN_IF_RUN = ("paper", "remedies", "correction", "remedies_drift", "faithfulness")


def publish(paths: StudyPaths, *, command: str, name: str = "") -> None:
    """Copy a finished study, made by a command, into ``results/reference/<name>``.

    That is by default the name of the study; a second run of it, such as one with remedies, has
    another. What was published before stays until the new folder is complete.
    """
    published = ROOT / "results" / "reference" / (name or paths.study)
    _recover(published)
    target = published.with_name(f".partial-{published.name}")
    complete = manifests(paths)
    text = page(paths, complete, command=command, name=published.name)
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("tables", "figures"):
        (target / folder).mkdir(parents=True)
    parameters = complete["tables/drift.csv"]["parameters"]
    for name, table in TABLES.items():
        if table.published and (table.when == "always" or _optional(paths, name) is not None):
            shutil.copyfile(paths.tables / f"{name}.csv", target / "tables" / f"{name}.csv")
    if parameters["data"]["source"] == "phantom":
        recompute.write(paths, target / "pairs")
        executed.publish(paths, target / "notebooks")
    drawn = parameters["data"]["source"] == "phantom" or parameters["data"]["shareable"]
    for figure in sorted(paths.figures.rglob("*.png")):
        if figure.name.startswith(("films", "cases")) and not drawn:
            continue  # single films, even if only by name
        shutil.copyfile(figure, target / "figures" / figure.name)
    shutil.copyfile(paths.verdicts, target / "verdicts.json")
    report.write(
        paths, target / "report", classes=parameters["classes"], shareable=drawn,
        notebooks="none", one_of_each=True, facts_file=target / "pages.json",
    )  # fmt: skip
    audit = _audit(paths)
    audit.get("duplicates", {}).pop("pairs", None)  # numbers travel, names of films do not
    write_json(target / "audit.json", audit)
    origin = provenance(paths, complete)
    write_json(target / "provenance.json", origin)
    write_text(target / "README.md", text)
    _replace(published, target)
    answers = json.loads((published / "verdicts.json").read_text(encoding="utf-8"))
    looks.append(looks.row(published.name, origin, answers), published.with_name(looks.FILE.name))
    for left in front.renew():
        print(left)


def _old(published: Path) -> Path:
    return published.with_name(f".partial-old-{published.name}")


def _recover(published: Path) -> None:
    """Put back what was published, if an earlier `_replace` was interrupted between its steps."""
    if _old(published).exists() and not published.exists():
        _old(published).rename(published)


def _replace(published: Path, new: Path) -> None:
    """Put a complete folder in the place of the published one; no moment is without both."""
    shutil.rmtree(_old(published), ignore_errors=True)
    if published.exists():
        published.rename(_old(published))
    new.rename(published)
    shutil.rmtree(_old(published), ignore_errors=True)


def markdown(table: pd.DataFrame) -> str:
    """Table in Markdown; numbers as they are formatted by the caller."""
    head = [table.columns, ["---"] * table.shape[1]]
    rows = [*head, *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def performance_lines(performance: pd.DataFrame) -> pd.DataFrame:
    """Macro AUC and balanced accuracy on test films by architecture and stage, mean over seeds."""
    scores = {"AUC": "macro_auc", "balanced accuracy": "balanced_accuracy"}
    wide = [stage_means(performance, column).add_suffix(f" {t}") for t, column in scores.items()]
    shown = [f"{stage} {t}" for t in scores for stage in ("transfer", "placebo", "finetune")]
    table = pd.concat(wide, axis=1).rename_axis(columns=None)
    return table[[name for name in shown if name in table]].map("{:.3f}".format).reset_index()


def drift_lines(drift: pd.DataFrame, *, metric: str = "iou_top20") -> pd.DataFrame:
    """Mean overlap by architecture, layer and method: placebo, fine-tuning, ceiling and blanks."""
    wide = drift_means(drift, metric=metric)
    tuned = drift[(drift["metric"] == metric) & (drift["pairing"] == "finetune")]
    counts = tuned.set_index(wide.index.names)[["n", "blank"]]
    return wide.map(_overlap).join(counts.reindex(wide.index)).reset_index()


def _overlap(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}"


def remedy_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy of each probe (columns) by remedy or control, with its change."""
    told = table["balanced_accuracy"].map("{:.2f}".format)
    told += table["change"].map(" ({:+.2f})".format).where(table["change"] != 0, "")
    wide = table.assign(told=told).pivot_table(
        index=["trial", "films"], columns="probe", values="told", sort=False, aggfunc="first"
    )
    return wide.reset_index()


def remedy_drift_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Mean overlap in two studies, "before → after", with a column for each pairing."""
    told = table[["before", "after"]].map(_overlap).agg(" → ".join, axis=1)
    wide = table.assign(told=told).pivot_table(
        index=["architecture", "role", "method"], columns="pairing", values="told", sort=False,
        aggfunc="first",
    )  # fmt: skip
    return wide.fillna("–").reset_index()


def correction_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Number of cells (architecture, layer, method) by measure and what it says of a correction."""
    counts = pd.crosstab(table["measure"], table["finding"])
    return counts.reindex(table["measure"].unique()).reset_index()


def _corrections(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {kind: correction_lines(table.query("kind == @kind")) for kind in ("drift", "evidence")}


def page(paths: StudyPaths, complete: Mapping[str, Mapping], *, command: str, name: str) -> str:
    """Text of a published study in Markdown, from the template ``reference.md.j2``.

    `complete` has its `lib.report.digest.manifests`; the study is published under a name.
    """
    require(paths.verdicts)
    origin = provenance(paths, complete)
    tables = {name: read_table(paths.tables / f"{name}.csv") for name in _SHOWN}
    optional = {name: _optional(paths, name) for name in _SHOWN_IF_RUN}
    support, told = tables["support"], {"drift": tables["drift"]}
    if optional["faithfulness"] is not None:
        told["faithfulness"] = optional["faithfulness"]
    kept = drift_lines(tables["strata"].query("stratum == 'kept-correct'"))
    (note, drift), (_, kept) = (
        marks.with_signs("", lines, marks.signs(told))
        for lines in (drift_lines(tables["drift"]), kept)
    )
    made = {"remedies": remedy_lines, "remedies_drift": remedy_drift_lines,
            "correction": _corrections}  # fmt: skip
    shown = {n: None if optional[n] is None else make(optional[n]) for n, make in made.items()}
    environment = Environment(
        loader=FileSystemLoader(report.TEMPLATES), undefined=StrictUndefined, trim_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["markdown"] = markdown
    return environment.get_template("reference.md.j2").render(
        name=name, command=command, origin=origin, audit=_audit(paths),
        weights=complete["tables/drift.csv"]["weights"], counted=counted(support).rstrip(","),
        performance=performance_lines(tables["performance"]),
        trainings=sentence(tables["performance"]), drift=drift, note=note.strip(),
        kept_correct=kept, verdicts=verdicts(paths).values(),
        cost=cost(origin["seconds"]).round(1).reset_index(), paper=optional["paper"],
        **shown,
    )  # fmt: skip


def _audit(paths: StudyPaths) -> dict:
    return json.loads((paths.data / "audit.json").read_text(encoding="utf-8"))


def _optional(paths: StudyPaths, name: str) -> pd.DataFrame | None:
    """Table of an appendix; None where it was not run or has no row."""
    file = paths.tables / f"{name}.csv"
    return table if file.exists() and len(table := read_table(file)) else None
