"""The published studies side by side, and their pages made anew from what was published.

A published folder has tables, figures, verdicts and the data of its cases, but no maps of its own.
That is enough for every page: so all of them follow the templates, and none is a relic.
"""

import json
from math import isfinite
from pathlib import Path

import pandas as pd

from lib.report import page as report
from lib.report import words
from lib.report.digest import stage_means
from lib.report.kinds import QUESTION, STUDY
from lib.study.artefacts import write_text
from lib.study.names import ARCHITECTURE_TITLES
from lib.study.paths import ROOT, StudyPaths

REFERENCE = ROOT / "results" / "reference"
SHELF = "../../index.html"
"""The page that compares all studies, from the folder of one report."""


def studies(reference: Path = REFERENCE) -> list[Path]:
    """Folders of the published studies: the default study first, then by name."""
    found = sorted(file.parent for file in reference.glob("*/provenance.json"))
    return sorted(found, key=lambda folder: folder.name != "phantom")


def read(folder: Path, name: str) -> dict:
    """A JSON file of a published study: ``provenance``, ``verdicts``, ``audit`` or ``pages``."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a published study that pages read."""
    return report.read_tables(StudyPaths(folder.parent, folder.name))


def first(folder: Path) -> list[str]:
    """The first sentences of a published study: the answer, its films, how far to trust it."""
    verdicts, origin = read(folder, "verdicts")["verdicts"], read(folder, "provenance")
    return words.first(tables(folder), verdicts, origin["parameters"], read(folder, "audit"))


def refresh(folder: Path) -> None:
    """Make the pages of a published study anew; its cases and other figures stay as they are."""
    origin = read(folder, "provenance")
    facts = read(folder, "pages") | {"title": report.named(folder.name, origin)}
    report.render(
        folder / "report", facts, kind=STUDY, tables=tables(folder),
        verdicts=read(folder, "verdicts")["verdicts"], audit=read(folder, "audit"),
        origin=origin, shelf=SHELF,
    )  # fmt: skip


def compare(reference: Path = REFERENCE) -> Path:
    """Write the page that puts all published studies side by side."""
    target = reference / "index.html"
    rows = [_row(folder) for folder in studies(reference)]
    text = report.environment().get_template("shelf.html.j2").render(
        title="The published studies", studies=rows, question=QUESTION, questions=questions(rows),
        style=f"{rows[0]['name']}/report/report.css",
    )  # fmt: skip
    write_text(target, text)
    return target


def _row(folder: Path) -> dict:
    found, origin = tables(folder), read(folder, "provenance")
    parameters, audit = origin["parameters"], read(folder, "audit")
    verdicts = read(folder, "verdicts")["verdicts"]
    scores = stage_means(found["performance"], "balanced_accuracy")
    moved = [
        {"title": ARCHITECTURE_TITLES[m.architecture], "told": words.percent([m.estimate]),
         "interval": words.percent([m.low, m.high]) if isfinite(m.low + m.high) else "no bounds",
         **{key: f"{200 * min(max(getattr(m, key), 0), 1.25) / 1.25:.1f}"
            for key in ("estimate", "low", "high")}}
        for m in words.way(found).itertuples()
    ]  # fmt: skip
    return {
        "name": folder.name,
        "title": words.title(parameters),
        "sentences": first(folder),
        "short": words.short(verdicts),
        "counted": words.counted(found["support"]).rstrip(","),
        "probe": f"{audit['probe']['balanced_accuracy']:.2f}",
        "scores": [
            (ARCHITECTURE_TITLES[name], f"{row['transfer']:.2f}", f"{row['finetune']:.2f}")
            for name, row in scores.iterrows()
        ],
        "moved": moved,
        "verdicts": [(v["question"], v["verdict"]) for v in verdicts.values()],
        "finished": origin["finished"][:10],
    }


def questions(rows: list[dict]) -> list[str]:
    """Every question that one of the studies answers, in order."""
    return list(dict.fromkeys(question for row in rows for question, _ in row["verdicts"]))
