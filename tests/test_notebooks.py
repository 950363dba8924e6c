"""The notebooks as published: paired, executed, short, and prose as much as code."""

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9A]*_*.py"))


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def pair(request):
    rendered = request.param.with_suffix(".ipynb")
    assert rendered.exists(), f"{rendered.name} is missing: run `make notebooks`"
    return jupytext.read(request.param), nbformat.read(rendered, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_study_is_there():
    assert [path.stem for path in SOURCES] == [
        "00_index", "00_pretrain_source", "01_prepare_data", "02_transfer", "03_finetune",
        "04_attribute", "05_drift", "06_hypotheses", "07_report", "A1_attribution_methods",
        "A2_sensitivity", "A3_data_remedies", "A4_audit_maps", "A4_audit_pair",
        "A5_randomised_weights", "A6_source_weights",
    ]  # fmt: skip
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in SOURCES}


def test_source_and_rendered_notebook_agree(pair):
    source, rendered = pair
    published = [(cell.cell_type, cell.source.strip()) for cell in rendered.cells]
    published = [cell for cell in published if cell != ("code", "# Parameters")]
    assert [(cell.cell_type, cell.source.strip()) for cell in source.cells] == published
    for a, b in zip(source.cells, rendered.cells, strict=True):
        assert a.metadata.get("tags", []) == b.metadata.get("tags", [])


def test_every_cell_was_executed_in_order_and_none_failed(pair):
    _, rendered = pair
    counts = [cell.execution_count for cell in code(rendered)]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"
    outputs = [output for cell in code(rendered) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]


def test_some_outputs_are_checked_by_the_regression(pair):
    _, rendered = pair
    checked = [c for c in code(rendered) if "nbval-check-output" in c.metadata.get("tags", [])]
    assert checked and all(cell.outputs for cell in checked)


def test_form(pair):
    source, _ = pair
    text = [cell for cell in source.cells if cell.cell_type == "markdown"]
    assert len(text) >= len(code(source))
    for cell in code(source):
        assert len(cell.source.splitlines()) <= 15, cell.source
        kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
        assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda}, cell.source
    tagged = [c for c in code(source) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(tagged[0].source).body:
        ast.literal_eval(statement.value)  # literals only
    whole = "\n".join(cell.source for cell in text)
    assert "**Reads**" in whole and "**Writes**" in whole and "## What we saw" in whole


def test_no_machine_path_is_published(pair):
    _, rendered = pair
    text = nbformat.writes(rendered)
    assert str(FOLDER.parent) not in text and "/home/" not in text and "/tmp/" not in text
