"""Executed notebooks as they can be committed: without machine, times, and links to nowhere."""

import re
from pathlib import Path
from posixpath import normpath

import nbformat

from lib.study.artefacts import write_text
from lib.study.paths import ROOT, StudyPaths

SOURCES = ROOT / "notebooks"
_LOG = re.compile(r"^WARNING:tensorflow:|absl::InitializeLog|^[IWEF]0000 ", re.M)
_RUN = ("papermill", "execution", "exception", "start_time", "end_time", "duration", "status")
_HOME = "../../../../notebooks"
"""The sources, from ``results/reference/<study>/notebooks``."""
_LINK = re.compile(r"\]\((?!#|[a-z]+:)([^)\s#]+)")


def cleaned(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Remove what differs from machine to machine: times, paths, logs; number cells by the name."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{name[:2]}-{number:02d}"
        for key in _RUN:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if not _LOG.search(each.get("text", ""))]
    return notebook


def of_stages(paths: StudyPaths) -> dict[str, Path]:
    """A study's executed notebook of every stage by name; one of those that ran several times."""
    found = {}
    for source in sorted(SOURCES.glob("[0-9A]*_*.py")):
        runs = sorted((paths.root / "notebooks").glob(f"{source.stem}*.ipynb"))
        runs = [run for run in runs if not run.stem.endswith(".failed")]
        if runs:
            found[source.stem] = runs[0]
    return found


def publish(paths: StudyPaths, folder: Path) -> list[Path]:
    """Write one executed notebook a stage into ``results/reference/<study>/notebooks``.

    They are named as the sources are, and their links lead somewhere from there.
    """
    stages, written = of_stages(paths), []

    def link(match: re.Match) -> str:
        inside = match[1].removesuffix(".ipynb") in stages
        return "](" + (match[1] if inside else normpath(f"{_HOME}/{match[1]}"))

    for name, file in stages.items():
        notebook = cleaned(nbformat.read(file, as_version=4), name)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _LINK.sub(link, cell.source)
        written.append(folder / f"{name}.ipynb")
        write_text(written[-1], nbformat.writes(notebook) + "\n")
    return written
