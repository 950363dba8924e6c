"""Publish a finished study: ``python -m lib.report.publish STUDY`` copies its numbers and figures.

``results/reference/<study>`` then holds the small tables, the figures, the provenance and a page of
text whose every number comes from those tables. No film leaves a study whose data are not
shareable: its figures were drawn without films.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from lib.report import page as report
from lib.report.digest import provenance
from lib.report.reference_page import drift_lines, markdown, page, performance_lines
from lib.study.artefacts import ArtefactError, read_manifest, read_table, write_json, write_text
from lib.study.paths import ROOT, StudyPaths

TABLES = (
    *("drift", "strata", "ranking", "performance", "history", "confusion", "support", "blanks"),
    *("retained", "contrasts", "crossover", "ranks", "agreement", "priors"),
)
EVIDENCE_TABLES = ("evidence", "evidence_change", "validity")  # where the lesions are known
# Of the appendices, if they were run; an empty one (no second study to compare with) is left out.
OPTIONAL_TABLES = (
    *("paper", "shortcut", "correction", "sensitivity", "randomisation"),
    *("remedies", "remedies_drift"),
)
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
    done = [
        name
        for name in OPTIONAL_TABLES
        if (file := paths.tables / f"{name}.csv").exists() and len(read_table(file))
    ]
    known = EVIDENCE_TABLES if parameters["data"]["source"] == "phantom" else ()
    for name in (*TABLES, *known, *done):
        shutil.copyfile(paths.tables / f"{name}.csv", target / "tables" / f"{name}.csv")
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


def main() -> int:
    """Command line; 1 if the study is not complete."""
    parser = argparse.ArgumentParser(prog="python -m lib.report.publish", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--results", default="results")
    parser.add_argument("--command", required=True, help="the command that made the study")
    parser.add_argument("--name", default="", help="folder, if not the name of the study")
    options = parser.parse_args()
    paths = StudyPaths(options.results, options.study)
    try:
        publish(paths, command=options.command, name=options.name)
    except (ArtefactError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
