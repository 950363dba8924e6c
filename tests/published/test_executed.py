"""Executed notebooks that are published: of the published run, and whole where they lie."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib.published import executed
from lib.study.paths import ROOT, StudyPaths

PUBLISHED = sorted(ROOT.glob("results/reference/*/notebooks"))


def outputs(notebook):
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.parent.name)
def test_published_notebooks_are_those_of_the_published_run(folder):
    notebooks = {f.stem: nbformat.read(f, as_version=4) for f in sorted(folder.glob("*.ipynb"))}
    steps = ("01", "02", "03", "04", "05", "06", "07")
    assert {name[:2] for name in notebooks} >= set(steps)
    origin = json.loads((folder.parent / "provenance.json").read_text(encoding="utf-8"))
    study = origin["parameters"]["study"]
    for name, notebook in notebooks.items():
        counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1)), name
        assert not [out for out in outputs(notebook) if out.output_type == "error"], name
        text = nbformat.writes(notebook)
        assert str(ROOT) not in text and "/home/" not in text and "/tmp/" not in text, name
        (told,) = (
            cell.source for cell in notebook.cells
            if "injected-parameters" in cell.metadata.get("tags", [])
        )  # fmt: skip
        values = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(told).body}
        assert values["study"] == study, name
        links = [
            link for cell in notebook.cells if cell.cell_type == "markdown"
            for link in re.findall(r"\]\((?!#|[a-z]+:)([^)\s#]+)", cell.source)
        ]  # fmt: skip
        assert not [link for link in links if not (folder / link).exists()], name
    verdicts = json.loads((folder.parent / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    shown = " ".join(re.sub(r"\s+", " ", str(out)) for out in outputs(notebooks["06_hypotheses"]))
    assert not [key for key, v in verdicts.items() if v["sentence"] not in shown]


def test_one_notebook_a_stage_with_links_that_lead_somewhere(tmp_path):
    paths = StudyPaths(tmp_path, "invented")
    paths.notebook("any").parent.mkdir(parents=True)
    log = new_output("stream", name="stderr", text="I0000 00:00 port.cc] oneDNN\n")
    said = new_output("stream", name="stdout", text="273 films\n")
    cell = new_code_cell("1 + 1", execution_count=1, outputs=[log, said])
    cell.metadata["papermill"] = {"start_time": "2026"}
    text = "[next](03_finetune.ipynb) [map](A1_attribution_methods.ipynb) [it](../README.md) [w](https://a.b)"
    notebook = new_notebook(cells=[new_markdown_cell(text), cell])
    notebook.metadata["papermill"] = {"input_path": "/machine/x.ipynb"}
    for name in (
        "02_transfer-a-s0",
        "02_transfer-b-s0",
        "03_finetune-a-s0",
        "04_attribute-a.failed",
    ):
        nbformat.write(notebook, paths.notebook(name))

    written = executed.publish(paths, tmp_path / "published")

    assert [Path(file).name for file in written] == ["02_transfer.ipynb", "03_finetune.ipynb"]
    found = nbformat.read(written[0], as_version=4)
    assert found.cells[0].source == (
        "[next](03_finetune.ipynb) [map](../../../../notebooks/A1_attribution_methods.ipynb)"
        " [it](../../../../README.md) [w](https://a.b)"
    )
    assert found.cells[1].outputs == [said] and "machine" not in nbformat.writes(found)
