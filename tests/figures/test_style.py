"""How figures look, are saved and are shown."""

import itertools

import numpy as np
import pytest
from figure_material import TWO_CELLS, case, history_table, pairs_table
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from lib.drift.metrics import metric_label
from lib.figures import drift, pictures, style, training
from lib.study.names import PAIRING_TITLES
from lib.study.schema import AUDIT_PAIRINGS, PAIRINGS, SEED_PAIRINGS


def test_no_two_looks_share_colour_marker_or_hatch():
    for known in (style.ARCHITECTURE, style.PAIRING, style.STAGE):
        for one, other in itertools.combinations(known.values(), 2):
            assert one.colour != other.colour
            assert one.marker != other.marker
    hatches = [look.hatch for look in style.PAIRING.values()]
    lines = [look.line for look in style.ARCHITECTURE.values()]
    assert len(set(hatches)) == len(hatches) and len(set(lines)) == len(lines)
    colours = [{look.colour for look in of.values()} for of in (style.ARCHITECTURE, style.PAIRING)]
    assert colours[0].isdisjoint(colours[1]), "an architecture must not look like a pairing"


def test_metric_labels_name_unit_or_range():
    assert metric_label("iou_top20") == "IoU of the top 20 % of cells (0 to 1)"
    assert metric_label("emd") == "Earth mover's distance (share of the diagonal)"


def test_whiskers_end_where_no_value_can_be():
    mean, low, high = (np.array(ends) for ends in ([0.9, 0.5], [0.7, np.nan], [1.4, 0.6]))
    ends = style.whiskers(mean, low, high, "iou_top20")
    np.testing.assert_allclose(ends, [[0.2, 0], [0.1, 0.1]])
    ends = style.whiskers(np.array([-0.5]), np.array([-1.5]), np.array([0.25]), "pearson")
    np.testing.assert_allclose(ends, [[0.5], [0.75]])
    assert style.possible("emd") == (0, 1) and style.possible("iou_top5") == (0, 1)


@pytest.mark.usefixtures("printed_style")
def test_save_writes_the_same_bytes_twice_and_no_date(tmp_path):
    def draw():
        sheet = pictures.case_sheet([case(*TWO_CELLS, np.eye(20, dtype=bool))], title="One case")
        return [sheet, drift.drift_distributions(pairs_table())]

    for run in "ab":
        for number, figure in enumerate(draw()):
            style.save(figure, tmp_path / f"{run}{number}.v1")
    names = [f"{number}.v1.{suffix}" for number in (0, 1) for suffix in ("png", "svg")]
    assert {path.name for path in tmp_path.iterdir()} == {r + name for r in "ab" for name in names}
    for name in names:
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()
    svg = (tmp_path / "a1.v1.svg").read_text(encoding="utf-8")
    assert "<dc:date>" not in svg
    assert "InceptionV3</text>" in svg, "text must stay text"


@pytest.mark.usefixtures("printed_style")
def test_save_twice_of_one_figure_is_the_same(tmp_path):
    figure = training.learning_curves(history_table())
    for name in ("once", "twice"):
        style.save(figure, tmp_path / name)
    for suffix in ("png", "svg"):
        once, twice = (tmp_path / f"{name}.{suffix}" for name in ("once", "twice"))
        assert once.read_bytes() == twice.read_bytes()


@pytest.mark.parametrize("backend", [None, "Agg"])
def test_a_notebook_shows_a_figure_once_and_saving_prints_nothing(tmp_path, backend, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    if backend:
        monkeypatch.setenv("MPLBACKEND", backend)
    first = """
import numpy as np
from lib.figures import pictures, style
style.style()
images = np.zeros((2, 4, 4), np.uint8)
"""
    second = f"""
display(figure := pictures.image_rows(images, [0, 1], rows=2, columns=1, title="Images"))
style.save(figure, {str(tmp_path / "images")!r})
"""
    notebook = new_notebook(cells=[new_code_cell(first), new_code_cell(second)])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    assert notebook.cells[0].outputs == []
    (output,) = notebook.cells[1].outputs
    assert output.output_type == "display_data" and "image/png" in output.data


def test_every_kind_of_pair_has_a_title_and_a_look():
    assert list(style.PAIRING) == list(PAIRINGS)
    assert set(PAIRING_TITLES) == {*PAIRINGS, *AUDIT_PAIRINGS, *SEED_PAIRINGS}
