"""Publish a finished study: ``python -m lib publish STUDY`` copies its numbers and figures.

``results/reference/<study>`` then holds the small tables, the figures, the provenance and a page of
text whose every number comes from those tables. No film leaves a study whose data are not
shareable: its figures were drawn without films.
"""

import json
import shutil
from pathlib import Path

import pandas as pd

from lib.report import page as report
from lib.report.digest import cost, drift_means, provenance, stage_means
from lib.study.artefacts import read_manifest, read_table, require, write_json, write_text
from lib.study.paths import ROOT, StudyPaths
from lib.study.schema import TABLES

BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"


def answer(folder: Path) -> str:
    """Tables of a published study for the front page: performance, and drift in the paper's cells.

    Parameters
    ----------
    folder : Path
        A folder that `publish` wrote.
    """
    drift = read_table(folder / "tables/drift.csv")
    told = drift["role"].isin(("auto_conv", "post_activation")) & drift["method"].isin(
        ("layercam", "gradcam_plus_plus")
    )
    return "\n".join(
        [
            BEGIN,
            markdown(performance_lines(read_table(folder / "tables/performance.csv"))),
            "",
            markdown(drift_lines(drift[told])),
            END,
        ]
    )


def with_answer(text: str, folder: Path) -> str:
    """`text` with the part between the two marks replaced by the `answer` of a study.

    Raises
    ------
    ValueError
        If the marks are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md: expected the marks {BEGIN} and {END}, one of them is missing")
    return before + answer(folder) + after


def publish(paths: StudyPaths, *, command: str, name: str = "") -> None:
    """Copy a finished study into ``results/reference/<name>``.

    What was published before stays until the new folder is complete.

    Parameters
    ----------
    paths : StudyPaths
    command : str
        Command line that made the study.
    name : str
        Folder, by default the name of the study; another one for a second run of the same study,
        such as one with remedies.
    """
    published = ROOT / "results" / "reference" / (name or paths.study)
    target = published.with_name(f".partial-{published.name}")
    text = page(paths, command=command, name=published.name)
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("tables", "figures"):
        (target / folder).mkdir(parents=True)
    parameters = read_manifest(paths.tables / "drift.csv")["parameters"]
    for name, table in TABLES.items():
        file = paths.tables / f"{name}.csv"
        made = table.when == "always" or (file.exists() and len(read_table(file)))
        if table.published and made:
            shutil.copyfile(file, target / "tables" / file.name)
    drawn = parameters["data"]["source"] == "phantom" or parameters["data"]["shareable"]
    for figure in sorted(paths.figures.rglob("*.png")):
        if figure.name.startswith(("films", "cases")) and not drawn:
            continue  # single films, even if only by name
        shutil.copyfile(figure, target / "figures" / figure.name)
    shutil.copyfile(paths.verdicts, target / "verdicts.json")
    classes = parameters["classes"]
    report.write(
        paths,
        target / "report",
        classes=classes,
        shareable=drawn,
        notebooks="none",
        figures="../figures",
        one_of_each=True,
    )
    audit = json.loads((paths.data / "audit.json").read_text(encoding="utf-8"))
    audit.get("duplicates", {}).pop("pairs", None)  # numbers travel, names of films do not
    write_json(target / "audit.json", audit)
    write_json(target / "provenance.json", provenance(paths))
    write_text(target / "README.md", text)
    shutil.rmtree(published, ignore_errors=True)
    target.rename(published)
    if published.name == "phantom":
        readme = ROOT / "README.md"
        write_text(readme, with_answer(readme.read_text(encoding="utf-8"), published))


_OF_THE_CORRECTION = {
    "drift": "## What metrics of drift make of a shortcut that is taken away\n\nNumber of cells "
    "(architecture, layer, method) in which a metric reports more drift where the shortcut was "
    "taken away (it calls the correction instability), more where it was kept (it prefers the "
    "correction), or where its interval of 95 %, over patients and for these seeds, cannot tell.",
    "evidence": "What the known evidence says of the same cells: whether a map gains or loses, "
    "against the fine-tuning that kept the shortcut, on the lesion and on the marker.",
}


def markdown(table: pd.DataFrame) -> str:
    """Table in Markdown; numbers as they are formatted by the caller."""
    head = [table.columns, ["---"] * table.shape[1]]
    rows = [*head, *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def performance_lines(performance: pd.DataFrame) -> pd.DataFrame:
    """Macro AUC and balanced accuracy on test films by architecture and stage, mean over seeds."""
    names = {"macro_auc": "AUC", "balanced_accuracy": "balanced accuracy"}
    out = {}
    for column, title in names.items():
        wide = stage_means(performance, column)
        for name in ("transfer", "placebo", "finetune"):
            if name in wide:
                out[f"{name} {title}"] = wide[name].map("{:.3f}".format)
    return pd.DataFrame(out).reset_index()


def drift_lines(drift: pd.DataFrame, *, metric: str = "iou_top20") -> pd.DataFrame:
    """Mean overlap by architecture, layer and method: placebo, fine-tuning, ceiling and blanks."""
    wide = drift_means(drift, metric=metric)
    tuned = drift[(drift["metric"] == metric) & (drift["pairing"] == "finetune")]
    counts = tuned.set_index(wide.index.names)[["n", "blank"]]
    shown = wide.map(lambda value: "–" if pd.isna(value) else f"{value:.2f}")
    return shown.join(counts.reindex(wide.index)).reset_index()


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

    def told(value: float) -> str:
        return "–" if pd.isna(value) else f"{value:.2f}"

    pairs = zip(table["before"], table["after"], strict=True)
    wide = table.assign(told=[f"{told(old)} → {told(new)}" for old, new in pairs]).pivot_table(
        index=["architecture", "role", "method"], columns="pairing", values="told", sort=False,
        aggfunc="first",
    )  # fmt: skip
    return wide.fillna("–").reset_index()


def correction_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Number of cells (architecture, layer, method) by measure and what it says of a correction."""
    counts = pd.crosstab(table["measure"], table["finding"])
    return counts.reindex(table["measure"].unique()).reset_index()


def page(paths: StudyPaths, *, command: str, name: str) -> str:
    """Text of a published study in Markdown.

    Parameters
    ----------
    paths : StudyPaths
    command : str
        Command line that made the study.
    name : str
        Under which it is published.

    Raises
    ------
    ArtefactError
        If the study is not complete.
    """
    manifest = read_manifest(paths.tables / "drift.csv")
    support, kept = (read_table(paths.tables / f"{name}.csv") for name in ("support", "strata"))
    audit = json.loads((paths.data / "audit.json").read_text(encoding="utf-8"))
    require(paths.verdicts)
    verdicts = json.loads(paths.verdicts.read_text(encoding="utf-8"))["verdicts"]
    probe = audit["probe"]
    lines = [
        f"# The {name} study",
        "",
        f"Made by `{command}` at revision `{manifest['code'][:12]}` on {manifest['device']}, "
        f"finished {manifest['finished']}. Source weights: **{manifest['weights']}**.",
        "",
        "## Data",
        "",
        *(f"- {finding['severity']}: {finding['text']}" for finding in audit["findings"]),
        f"- A linear model on {probe['side']} × {probe['side']} thumbnails reaches a balanced "
        f"accuracy of {probe['balanced_accuracy']:.2f} (chance {probe['chance']:.2f}).",
        f"- {support['films'].sum()} test films; {support['common'].sum()} of them are classified "
        "correctly by every checkpoint of every architecture (the common support).",
        "",
        "## Performance on test films",
        "",
        markdown(performance_lines(read_table(paths.tables / "performance.csv"))),
        "",
        "## Overlap of the top 20 % of cells, mean over the common support",
        "",
        "1 = the same places, 0 = none in common. `placebo`: transfer → placebo; `finetune`: "
        "transfer → fine-tuned; `finetune_seeds`: two fine-tunings that differ in their seed; "
        "`ceiling`: transfer → fine-tuned on films of different patients of one class; "
        "`explainer`: the transfer checkpoint explained twice; `randomised`: transfer → the same "
        "network with permuted weights. `n` counts pairs of `finetune` over all seeds, `blank` "
        "those that could not be scored.",
        "",
        markdown(drift_lines(read_table(paths.tables / "drift.csv"))),
        "",
        "## The same over the films that the architecture classifies correctly at both checkpoints",
        "",
        "More films, but not the same ones for every architecture and pairing.",
        "",
        markdown(drift_lines(kept.query("stratum == 'kept-correct'"))),
        "",
        "Means say nothing about uncertainty. What may be said is decided by the rules of "
        "`params/hypotheses.yml`:",
        "",
        "## Verdicts",
        "",
        *(f"- {verdict['sentence']}" for verdict in verdicts.values()),
        "",
        *_beside_the_paper(paths.tables / "paper.csv"),
        "",
        "## Cost",
        "",
        "Minutes of a notebook on this device, next to the others of the study: one checkpoint of "
        "each stage, the maps of all checkpoints, and all together.",
        "",
        markdown(cost(provenance(paths)["seconds"]).round(1).reset_index()),
        "",
        "The case browser of this folder has the first pair of checkpoints of each kind; "
        "`make report` makes one with all of them.",
    ]
    if (paths.tables / "remedies.csv").exists():
        lines += [
            "",
            "## What remedies take from the linear models",
            "",
            "Balanced accuracy of linear models that see no disease, and its change, after each "
            "remedy by itself; in the last rows, where a region is hidden, chance would be right.",
            "",
            markdown(remedy_lines(read_table(paths.tables / "remedies.csv"))),
        ]
    corrected = paths.tables / "correction.csv"
    if corrected.exists():
        told = read_table(corrected)
        for kind, words in _OF_THE_CORRECTION.items():
            lines += ["", words, "", markdown(correction_lines(told[told["kind"] == kind]))]
    beside = paths.tables / "remedies_drift.csv"
    if beside.exists() and len(drifts := read_table(beside)):
        lines += [
            "",
            "## Overlap without → with these remedies",
            "",
            "Top 20 % of cells; each mean is over its own common support, so the films are not the "
            "same, and this is no paired comparison.",
            "",
            markdown(remedy_drift_lines(drifts)),
        ]
    if manifest["weights"] == "none":
        lines.insert(3, "\n**Without a source task this comparison is empty by construction.**")
    return "\n".join(lines) + "\n"


def _beside_the_paper(file: Path) -> list[str]:
    if not file.exists():
        return []
    return [
        "## The paper beside us",
        "",
        "`holds`: whether the statement holds in this study. Data, weights and settings of the "
        "paper are not known, so this neither confirms nor refutes it.",
        "",
        markdown(read_table(file)),
    ]
