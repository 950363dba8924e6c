"""The static report of a study: one folder that opens from disk, without a server or network.

Everything in it is read from the study's tables, figures, verdicts, maps and manifests. What a
study does not have, the report leaves out. Names are text and never markup: the templates escape
them, and the content security policy of the pages forbids inline scripts and any network.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.hypotheses.answers import without_seeds
from lib.report import marks, telling, words
from lib.report.browser import write_cases
from lib.report.digest import manifests, provenance, verdicts
from lib.report.extremes import extremes
from lib.report.intervals import interval_rows, reach, second_reference
from lib.report.kinds import QUESTION, STUDY, Kind
from lib.report.notebooks import executed, notebook_pages
from lib.report.phrases import comparisons
from lib.report.tables import Table, shown
from lib.study.artefacts import manifest_path, read_table, require, write_json, write_text
from lib.study.paths import StudyPaths

TEMPLATES = Path(__file__).parent / "templates"
CASES = ("cases-data.js", "cases-list.js", "cases-view.js", "cases.js")
"""Scripts of the case browser, in their order."""
_EMPTY = "Without a source task (weights: none) this comparison is empty by construction."
_WARN = ("serious", "warning")
_KNOWN = {"data", "seeds", "weights"}  # parameters that tell studies apart


def write(
    paths: StudyPaths, folder: Path, *, classes: Sequence[str], shareable: bool, title: str = "",
    question: str = QUESTION, notebooks: str = "pages", kind: Kind = STUDY,
    one_of_each: bool = False, facts_file: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Write the report of a study; what was in the folder is replaced, and it needs nothing else.

    Parameters
    ----------
    paths : StudyPaths
        Of a study with at least ``tables/drift.csv`` or ``tables/pairs.csv``, complete.
    folder : Path
        Receives the report.
    classes : sequence of str
        In the order of the logits.
    shareable : bool
        Whether films and their names may be shown. Otherwise neither leaves the study, and the
        executed notebooks, which print names, are named and not copied.
    title, question : str
        Of the first page; the title is by default `named`.
    notebooks : {"pages", "none"}
        Whether the executed notebooks come with the report.
    kind : Kind
        Of `lib.report.kinds`.
    one_of_each : bool
        As in `lib.report.browser.write_cases`.
    facts_file : Path, optional
        Receives the `facts` of `render`, which no table has.

    Returns
    -------
    list of Path
        All files, ``index.html`` first.

    Raises
    ------
    ArtefactError
        If a table is not complete or the maps do not belong to it.
    """
    tables = read_tables(paths, kind)
    drift, complete, origin = paths.tables / "drift.csv", {}, None
    if manifest_path(drift).exists():
        require(drift)
        complete = manifests(paths)
        origin = provenance(paths, complete)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    untaught = complete.get("tables/drift.csv", {}).get("weights") == "none"
    facts = {
        "title": title or named(paths.study, origin), "question": question,
        "warning": _EMPTY if untaught else "", "cases": 0, "shareable": shareable,
        "artefacts": [
            [name, record["files"].get(Path(name).name, {}).get("sha256", "")[:16],
             record["device"], record["finished"], record["seconds"]]
            for name, record in complete.items()
        ],
    }  # fmt: skip
    files, pages, links = [], [], []
    if (paths.tables / "pairs.csv").exists():
        cases = write_cases(
            paths, folder / "cases", classes=classes, shareable=shareable, one_of_each=one_of_each
        )
        facts |= {"cases": len(cases.image_id)} | extremes(cases, shareable=shareable)
        files = cases.files
    if notebooks == "pages" and shareable:
        template = environment().get_template("notebook.html.j2")
        pages, links = notebook_pages(paths, folder / "notebooks", template)
    elif notebooks == "pages":
        links = [(path.stem, "") for path in executed(paths)]
    (folder / "figures").mkdir()
    drawn = {file.stem: file for file in sorted(paths.figures.rglob("*.png"))}
    there = [name for name in kind.figures if name in drawn]
    copied = [shutil.copyfile(drawn[n], folder / f"figures/{n}.png") for n in there]
    findings = paths.root / kind.findings
    audit = json.loads(findings.read_text(encoding="utf-8")) if findings.exists() else None
    written = render(
        folder, facts, kind=kind, tables=tables, verdicts=verdicts(paths), audit=audit,
        origin=origin, notebooks=links,
    )  # fmt: skip
    if facts_file:
        write_json(facts_file, facts)
    return [*written, *files, *copied, *pages]


def read_tables(paths: StudyPaths, kind: Kind = STUDY) -> dict[str, pd.DataFrame]:
    """The tables of a study that its report reads, those that are there."""
    return {n: read_table(f) for n in kind.read if (f := paths.tables / f"{n}.csv").exists()}


def named(study: str, origin: Mapping | None) -> str:
    """Title of a study: what tells it apart, where its parameters say that."""
    parameters = (origin or {}).get("parameters", {})
    return words.title(parameters) if set(parameters) >= _KNOWN else f"The {study} study"


def render(
    folder: Path, facts: Mapping, *, kind: Kind, tables: Mapping[str, pd.DataFrame],
    verdicts: Mapping, audit: Mapping | None, origin: Mapping | None,
    notebooks: Sequence[tuple[str, str]] = (), shelf: str = "",
) -> list[Path]:  # fmt: skip
    """Write the pages, and what they need, of a report whose cases and figures are there.

    `facts` has what is in no table, as `write` finds it; `audit` has findings, `origin` the
    provenance; notebooks are names with addresses. `shelf` is the address of the page that puts
    this study beside others, "" where it stands alone.
    """
    # The first finding that warns: an answer without it would mislead.
    warn = [f["text"] for f in (audit or {}).get("findings", ()) if f["severity"] in _WARN]
    parameters = (origin or {}).get("parameters", {})
    says = kind.first if set(parameters) >= _KNOWN else None
    context = {
        "extremes": [], "extremes_of": "", **facts,
        "first": says(tables, verdicts, parameters, audit) if says else [],
        "answer": kind.answer(tables, verdicts),
        "finished": origin["finished"][:10] if origin else "",
        "verdicts": [_shown_verdict(name, verdict) for name, verdict in verdicts.items()],
        "without": without_seeds(verdicts), "films": kind.films, "floor": kind.floor,
        "audit": audit, "worst": next(iter(warn), ""), "origin": origin, "notebooks": notebooks,
        "tables": kind.tables(tables) | _fact_tables(audit, origin, facts["artefacts"]),
        "shelf": shelf,
    }  # fmt: skip
    context["case"] = ""
    if facts["cases"] and says:
        context["case"] = telling.draw(folder / "cases", folder / "figures/case")
    moved = words.way(tables) if says else ()
    if len(moved):
        telling.draw_way(moved, folder / "figures/moved", marked=marks.marked(tables))
    there = {file.stem for file in (folder / "figures").glob("*.png")}
    figures = [(name, text) for name, text in kind.figures.items() if name in there]
    lead = (figure for figure in figures if figure[0] in ("moved", "answer", "controls"))
    context |= {"figures": figures, "lead": next(lead, None)}
    context["sections"] = _sections(context)
    drawn = [folder / f"figures/{n}.png" for n in ("case", "moved") if n in there]
    return [*_pages(folder, kind.page, context), *drawn]


def environment() -> Environment:
    """Where the templates of the pages are, and how they escape what is put in them."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True,
    )  # fmt: skip


def _pages(folder: Path, first: str, context: Mapping) -> list[Path]:
    made = environment()
    templates, assets = {"index.html": first}, ["report.css", "report.js"]
    if context["cases"]:
        templates["cases.html"] = "cases.html.j2"
        assets += CASES
    for name, source in templates.items():
        text = made.get_template(source).render(context, root="", scripts=assets[1:])
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
        "lesion": ("Evidence in the lesion", "lesion" in tables),
        "layers": ("Layers", "layers" in tables),
        "evidence": ("Evidence in the lesion", "evidence_change" in tables),
        "sensitivity": ("Sensitivity", "sensitivity" in tables),
        "methods": ("Methods", True),
        "provenance": ("Provenance", context["origin"]),
        "notebooks": ("Notebooks", context["notebooks"]),
    }
    return [(anchor, name) for anchor, (name, present) in there.items() if present]


def _shown_verdict(name: str, verdict: Mapping) -> dict:
    """A verdict with the rows of its family, and the scale of their intervals in 200 units."""
    rows = interval_rows(verdict)
    ends = [abs(row[key]) for row in rows for key in ("low", "high") if row[key] is not None]
    widest = min(max(ends, default=1), 2) or 1  # a hopelessly wide interval must not hide the rest

    def scale(value: float) -> str:
        return f"{100 + 96 * max(-1, min(1, value / widest)):.1f}"

    facts = {key: verdict[key] for key in ("question", "verdict", "reasons")}
    facts |= {"sentence": comparisons(verdict["sentence"]), "reach": reach(rows)}
    facts |= {"beside": second_reference(verdict)}
    return {"name": name, "rows": rows, "scale": scale, **facts}


def _fact_tables(
    audit: Mapping | None, origin: Mapping | None, artefacts: Sequence[Sequence]
) -> dict:
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
        frame = pd.DataFrame(
            artefacts, columns=["artefact", "sha256", "device", "finished", "seconds"]
        )
        caption = "Artefacts with the beginning of their SHA-256 and how long each took."
        tables["artefacts"] = shown("artefacts", caption, frame, decimals=1)
    return tables
