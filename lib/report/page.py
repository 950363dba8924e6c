"""The static report of a study: one folder that opens from disk, without a server or network.

Everything in it is read from the study's tables, figures, verdicts, maps and manifests. What a
study does not have, the report leaves out. Names are text and never markup: the templates escape
them, and the content security policy of the pages forbids inline scripts and any network.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.report.browser import FINER, Cases, write_cases
from lib.report.digest import PRIMARY, manifests, provenance, verdicts
from lib.report.notebooks import executed, notebook_pages
from lib.report.tables import Table, shown, study_tables
from lib.report.words import answer, interval_rows, reach
from lib.study.artefacts import manifest_path, read_table, require, write_text
from lib.study.paths import StudyPaths

TEMPLATES = Path(__file__).parent / "templates"
CASES = ("cases-data.js", "cases-list.js", "cases-view.js", "cases.js")
"""Scripts of the case browser, in their order."""

QUESTION = "Does fine-tuning change why a chest X-ray classifier decides?"


@dataclass(frozen=True)
class Kind:
    """A kind of report; all kinds have the same pages, built by `lib.report.page.write`.

    Attributes
    ----------
    page : str
        Template of the first page.
    films, floor : str
        What the films are called, "test films", and where R is 1, "placebo".
    findings : str
        JSON file with ``findings`` (``severity``, ``text``), from the study's folder.
    read : tuple of str
        Tables that are read, without ending.
    figures : mapping of str to str
        Figures that a report takes, from anywhere below the study's figures, with their captions.
    tables : callable
        Makes of the tables those that are shown.
    answer : callable
        Makes of the tables and the verdicts (or None) the sentences of the first screen.
    """

    page: str
    films: str
    floor: str
    findings: str
    read: tuple[str, ...]
    figures: Mapping[str, str]
    tables: Callable[[Mapping[str, pd.DataFrame]], dict[str, Table]]
    answer: Callable[[Mapping[str, pd.DataFrame], Mapping | None], list[str]]


STUDY = Kind(
    page="index.html.j2",
    films="test films",
    floor="placebo",
    findings="data/audit.json",
    read=(
        *("performance", "support", "drift", "strata", "retained", "blanks", "priors"),
        *("decomposition", "partial_agreement", "evidence_change", "correction", "sensitivity"),
    ),
    figures={
        "answer": "Overlap of the strongest cells at the pooled map between placebo and ceiling.",
        "performance": "Macro AUC of every checkpoint on the test films.",
        "learning_curves": "Learning curves: dashed training, solid validation, marks at kept "
        "epochs.",
        "confusions": "True (rows) and predicted classes before and after fine-tuning.",
        "controls": "Overlap of the strongest cells between placebo and ceiling, by layer and "
        "method.",
        "drift_distributions": "The overlap film by film.",
        "retained": "Retained evidence with intervals: 1 is the placebo, 0 maps of unrelated "
        "films.",
        "decomposition": "What drift is made of: what the placebo moves, what all seeds share, "
        "what each seed adds, and what is left up to unrelated films.",
        "trajectory": "Drift, evidence in the lesion, accuracy and blank maps by epoch of one "
        "fine-tuning.",
        "transitions": "Maps that were there before and after, vanished, appeared, or were blank.",
        "ranking": "Which architecture is most stable, by layer and method.",
        "interaction": "Differences between architectures by method: does the ranking reverse?",
        "ranks": "How often each rank comes out again with other films and seeds.",
        "evidence_levels": "Share of the maps that lies on the lesion, by stage.",
        "drift_against_evidence": "Drift against the change of the share on the lesion.",
        "sensitivity": "Drift by reading of the maps.",
    },
    tables=study_tables,
    answer=answer,
)


def write(
    paths: StudyPaths,
    folder: Path,
    *,
    classes: Sequence[str],
    shareable: bool,
    title: str = "",
    question: str = QUESTION,
    notebooks: str = "pages",
    kind: Kind = STUDY,
    one_of_each: bool = False,
) -> list[Path]:
    """Write the report of a study; what was in the folder is replaced, and it needs nothing else.

    Parameters
    ----------
    paths : StudyPaths
        Of a study with at least ``tables/drift.csv`` or ``tables/pairs.csv``, complete.
    folder : Path
        Where the report goes: ``index.html`` and all that it needs.
    shareable : bool
        Whether films and their names may be shown. Otherwise neither leaves the study, and the
        executed notebooks, which print names, are named and not copied.
    title, question : str
        Name of the study for readers, and the headline.
    notebooks : {"pages", "none"}
        Whether the executed notebooks come with the report.
    kind : Kind
        What the report is about: a study, or an audit of two checkpoints.
    one_of_each : bool
        As `lib.report.browser.write_cases`.

    Returns
    -------
    list of Path
        All files, ``index.html`` first.

    Raises
    ------
    ArtefactError
        If a table is not complete or the maps do not belong to it.
    """
    tables = {n: read_table(f) for n in kind.read if (f := paths.tables / f"{n}.csv").exists()}
    found = verdicts(paths)
    drift, complete, origin = paths.tables / "drift.csv", {}, None
    if manifest_path(drift).exists():
        require(drift)
        complete = manifests(paths)
        origin = provenance(paths, complete)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases = None
    if (paths.tables / "pairs.csv").exists():
        cases = write_cases(
            paths, folder / "cases", classes=classes, shareable=shareable, one_of_each=one_of_each
        )
    audit = _json(paths.root / kind.findings)
    context = {
        "title": title or f"The {paths.study} study",
        "question": question,
        "answer": kind.answer(tables, found),
        "warning": _warning(complete),
        "finished": origin["finished"][:10] if origin else "",
        "verdicts": [_shown_verdict(name, verdict) for name, verdict in found.items()],
        "films": kind.films,
        "floor": kind.floor,
        "cases": len(cases.image_id) if cases else 0,
        "audit": audit,
        "worst": _worst(audit),
        "origin": origin,
        "shareable": shareable,
        "tables": kind.tables(tables) | _fact_tables(audit, origin, complete),
        **_extremes(cases, shareable=shareable),
    }
    copied = _copy_figures(paths, folder / "figures", kind.figures)
    there = {file.stem for file in copied}
    context["figures"] = [(name, text) for name, text in kind.figures.items() if name in there]
    context["lead"] = next((p for p in context["figures"] if p[0] in ("answer", "controls")), None)
    pages, context["notebooks"] = [], []
    if notebooks == "pages" and shareable:
        template = _environment().get_template("notebook.html.j2")
        pages, context["notebooks"] = notebook_pages(paths, folder / "notebooks", template)
    elif notebooks == "pages":
        context["notebooks"] = [(path.stem, "") for path in executed(paths)]
    context["sections"] = _sections(context)
    written = _pages(folder, kind.page, context)
    return [*written, *(cases.files if cases else []), *copied, *pages]


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True,
    )  # fmt: skip


def _pages(folder: Path, first: str, context: Mapping) -> list[Path]:
    environment = _environment()
    templates, assets = {"index.html": first}, ["report.css", "report.js"]
    if context["cases"]:
        templates["cases.html"] = "cases.html.j2"
        assets += CASES
    for name, source in templates.items():
        text = environment.get_template(source).render(context, root="", scripts=assets[1:])
        write_text(folder / name, text)
    for name in assets:
        shutil.copyfile(TEMPLATES / name, folder / name)
    return [folder / name for name in (*templates, *assets)]


def _sections(context: Mapping) -> list[tuple[str, str]]:
    tables = context["tables"]
    there = {
        "verdicts": ("Verdicts", context["verdicts"]),
        "cases": ("Cases", context["cases"]),
        "data": ("Data and audit", context["audit"] or "support" in tables),
        "models": ("Models and accuracy", "performance" in tables),
        "drift": ("Drift with controls", "drift" in tables),
        "layers": ("Layers", "layers" in tables),
        "evidence": ("Evidence in the lesion", "evidence_change" in tables),
        "sensitivity": ("Sensitivity", "sensitivity" in tables),
        "methods": ("Methods", True),
        "provenance": ("Provenance", context["origin"]),
        "notebooks": ("Notebooks", context["notebooks"]),
    }
    return [(anchor, name) for anchor, (name, present) in there.items() if present]


def _json(path: Path) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _warning(complete: Mapping) -> str:
    empty = "Without a source task (weights: none) this comparison is empty by construction."
    return empty if complete.get("tables/drift.csv", {}).get("weights") == "none" else ""


def _worst(audit: Mapping | None) -> str:
    """The first finding that warns: an answer without it would mislead."""
    found = (audit or {}).get("findings", ())
    return next((f["text"] for f in found if f["severity"] in ("serious", "warning")), "")


def _shown_verdict(name: str, verdict: Mapping) -> dict:
    """A verdict with the rows of its family, and the scale of their intervals in 200 units."""
    rows = interval_rows(verdict)
    ends = [abs(row[key]) for row in rows for key in ("low", "high") if row[key] is not None]
    widest = min(max(ends, default=1), 2) or 1  # a hopelessly wide interval must not hide the rest

    def scale(value: float) -> str:
        return f"{100 + 96 * max(-1, min(1, value / widest)):.1f}"

    facts = {key: verdict[key] for key in ("question", "verdict", "sentence", "reasons")}
    return {"name": name, "rows": rows, "scale": scale, "reach": reach(rows), **facts}


def _fact_tables(audit: Mapping | None, origin: Mapping | None, complete: Mapping) -> dict:
    """Tables of what is no table of the study: films by split, artefacts, parameters."""
    tables: dict[str, Table] = {}
    if audit and audit.get("images"):
        counts = pd.DataFrame(audit["images"]).T.fillna(0).astype(int)
        order = [name for name in ("train", "validation", "test") if name in counts]
        counts = counts[[*order, *(name for name in counts if name not in order)]]
        counts["patients"] = pd.Series(audit.get("patients", {}))
        frame = counts.rename_axis("class").reset_index()
        tables["films"] = shown("films", "Films by class and split, and patients.", frame)
    if origin:
        facts = pd.json_normalize(origin["parameters"], sep=".").iloc[0].map(str)
        frame = facts.rename_axis("parameter").rename("value").reset_index()
        tables["parameters"] = shown("parameters", "All parameters of the study.", frame)
        rows = [
            [name, facts["files"].get(Path(name).name, {}).get("sha256", "")[:16],
             facts["device"], facts["finished"], facts["seconds"]]
            for name, facts in complete.items()
        ]  # fmt: skip
        frame = pd.DataFrame(rows, columns=["artefact", "sha256", "device", "finished", "seconds"])
        caption = "Artefacts with the beginning of their SHA-256 and how long each took."
        tables["artefacts"] = shown("artefacts", caption, frame, decimals=1)
    return tables


def _extremes(cases: Cases | None, *, shareable: bool, most: int = 3) -> dict[str, object]:
    """The films with the lowest mean overlap, each with a link to its lowest pair of maps."""
    if cases is None:
        return {"extremes": [], "extremes_of": ""}
    pairs, shown = cases.pairs, cases.shown
    first = "finetune" if "finetune" in set(shown["pairing"]) else shown["pairing"].iloc[0]
    pairs, shown = pairs[pairs["pairing"] == first], shown[shown["pairing"] == first]
    common = pairs["common"].astype(bool)
    of = "of the films that every checkpoint classifies correctly"
    support = {"common": "1"}
    if not common.any():
        common = pairs["stratum"] == "kept-correct"
        of = "of the pairs in which both checkpoints classify the film correctly"
        support = {"common": "0", "stratum": "kept-correct"}
    pairs, shown = pairs[common], shown[common.reindex(shown.index)]
    chosen = pairs.groupby("image_id")[PRIMARY].agg(["mean", "count", "size"])
    chosen = chosen.dropna().sort_values("mean", kind="stable")[:most]
    number = {name: place + 1 for place, name in enumerate(cases.image_id)}
    ties = [name for name in (PRIMARY, FINER) if name in shown]
    lowest = shown.dropna(subset=PRIMARY).sort_values(ties, kind="stable")
    lowest = lowest.groupby("image_id").first()
    extremes = []
    for name, row in chosen.iterrows():
        view = {"film": number[name], "sort": PRIMARY, "order": "most"} | support
        if name in lowest.index:
            least = lowest.loc[name]
            view |= {key: least[key] for key in ("architecture", "role", "method")}
            view["pair"] = "~".join(least[key] for key in ("pairing", "before", "after"))
        extremes.append({
            "name": name if shareable else f"film {number[name]}",
            "label": cases.label[number[name] - 1].replace("_", " "),
            "value": row["mean"], "pairs": int(row["count"]),
            "blank": int(row["size"] - row["count"]),
            "lowest": lowest[PRIMARY].get(name),
            "link": "cases.html#" + urlencode(view),
        })  # fmt: skip
    return {"extremes": extremes, "extremes_of": of}


def _copy_figures(paths: StudyPaths, folder: Path, wanted: Iterable[str]) -> list[Path]:
    """Copy the figures that a report takes, in their order."""
    found = {file.stem: file for file in sorted(paths.figures.rglob("*.png"))}
    copied = []
    for name in wanted:
        if name in found:
            folder.mkdir(parents=True, exist_ok=True)
            copied.append(shutil.copyfile(found[name], folder / f"{name}.png"))
    return copied
