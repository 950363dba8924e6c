"""What pictures show: films, maps and outlines in their places, not pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_material import TWO_CELLS, TWO_CELLS_LESS, assert_legible, case, legend_texts, texts

from lib.figures import pictures, style
from lib.study import names
from lib.study.architectures import ROLES

pytestmark = pytest.mark.usefixtures("printed_style")
FILMS = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 8, 8), np.uint8)


def test_film_sheet_puts_classes_in_rows_and_outlines_beside_the_films():
    lungs = np.zeros((3, 8, 8), bool)
    lungs[:, 2:6, 2:6] = True
    lesions = lungs & (np.arange(3) == 2)[:, None, None]
    figure = pictures.film_sheet(
        FILMS, labels=["normal", "covid19", "covid19"], lungs=lungs, lesions=lesions, ids="abc"
    )
    grid = np.array(figure.axes).reshape(2, 4)
    assert [row[0].get_ylabel() for row in grid] == ["normal", "covid19"]
    shown = [[ax.images[0].get_array().max() if ax.images else None for ax in r] for r in grid]
    assert shown == [[0, 0, None, None], [1, 1, 2, 2]]
    assert [[len(ax.collections) for ax in row] for row in grid] == [[0, 1, 0, 0], [0, 1, 0, 2]]
    assert [grid[i, j].get_title() for i, j in ((0, 0), (1, 0), (1, 2))] == ["a", "b", "c"]
    assert legend_texts(figure) == ["lung outline", "lesion outline"]
    lung, lesion = grid[1, 3].collections
    assert lung.get_linewidth() < lesion.get_linewidth()
    outline = np.concatenate([path.vertices for path in lung.get_paths()])
    assert outline.min() == pytest.approx(2 / 8) and outline.max() == pytest.approx(6 / 8)


def test_film_sheet_takes_series_with_any_index():
    table = pd.DataFrame({"label": ["a", "b", "b"], "id": ["x", "y", "z"]}, index=[2, 0, 7])
    figure = pictures.film_sheet(FILMS, labels=table["label"], ids=table["id"])
    grid = np.array(figure.axes).reshape(2, 2)
    assert [row[0].get_ylabel() for row in grid] == ["a", "b"]
    assert [ax.get_title() for ax in grid.flat] == ["x", "", "y", "z"]
    assert [ax.images[0].get_array().max() for ax in grid.flat if ax.images] == [0, 1, 2]


@pytest.mark.parametrize("bright", ["top", "bottom"])
def test_films_and_outlines_are_drawn_the_same_way_up(tmp_path, bright):
    half = np.zeros((20, 20), bool)
    half[slice(0, 10) if bright == "top" else slice(10, 20)] = True
    films = half[None].astype(np.uint8) * 255
    figure = pictures.film_sheet(films, labels=["normal"], lungs=half[None])
    style.save(figure, tmp_path / "sheet")
    page = plt.imread(tmp_path / "sheet.png")[..., 0]
    film, outlined = figure.axes
    place = film.get_position()
    column = page[:, int(page.shape[1] * (place.x0 + place.x1) / 2)]
    upper, lower = (
        column[int(len(column) * (1 - (place.y0 + share * place.height)))] for share in (0.8, 0.2)
    )
    assert (upper, lower) == ((1, 0) if bright == "top" else (0, 1))
    (outline,) = outlined.collections
    heights = np.concatenate([path.vertices[:, 1] for path in outline.get_paths()])
    assert heights == pytest.approx(0.5)
    below = outlined.transData.transform([(0.5, 0.75)])[0, 1]
    assert below < outlined.transData.transform([(0.5, 0.25)])[0, 1], "row 0 is at the top"


def test_case_sheet_shares_one_range_and_a_symmetric_difference():
    figure = pictures.case_sheet([case(*TWO_CELLS), case(*TWO_CELLS_LESS)], title="Cases")
    grid = np.array(figure.axes[:8]).reshape(2, 4)
    heads = ["Film", "Transfer", "Fine-tuned", "Fine-tuned − transfer"]
    assert [ax.get_title() for ax in grid[0]] == heads
    for row in grid:
        for ax in row[1:3]:
            assert (ax.images[-1].norm.vmin, ax.images[-1].norm.vmax) == (0, 1)
            assert ax.images[-1].get_array().max() == 1
        assert (row[3].images[-1].norm.vmin, row[3].images[-1].norm.vmax) == (-0.5, 0.5)
    assert grid[0, 3].images[-1].get_array().tolist() == [[-0.5, 0.5]]
    assert grid[1, 3].images[-1].get_array().tolist() == [[0.125, -0.125]]
    assert grid[0, 0].get_ylabel() == "film-1\np 0.6 → 0.9"
    note = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "1 × 2 cells" in note and "nearest neighbour" in note


@pytest.mark.parametrize("blank", [[[0.0, 0.0]], [[2.0, 2.0]], [[np.nan, 1.0]]])
def test_case_sheet_says_blank(blank):
    figure = pictures.case_sheet([case([[1.0, 3.0]], blank)], title="Cases")
    assert [texts(ax) for ax in figure.axes[:4]] == [[], [], ["blank"], ["blank"]]


def test_case_sheet_without_films_never_draws_one():
    lesion = np.zeros((20, 20), bool)
    lesion[5:10, 5:10] = True
    figure = pictures.case_sheet(
        [case(*TWO_CELLS, lesion)], title="", show_films=False, interpolation="bilinear"
    )
    assert figure.axes[0].get_title() == "Transfer"
    for ax in figure.axes[:3]:
        (image,) = ax.images
        assert image.get_array().shape == (1, 2)
        assert image.get_interpolation() == "bilinear"
        assert len(ax.collections) == 1
    assert "bilinear" in figure.legends[0].get_title().get_text()


def test_case_sheet_refuses_nothing_and_negative_maps():
    with pytest.raises(ValueError, match="0 cases"):
        pictures.case_sheet([], title="")
    with pytest.raises(ValueError, match="negative"):
        pictures.case_sheet([case([[-1.0, 1.0]], [[1.0, 2.0]])], title="")


MAPS = {
    ("post_activation", "gradcam"): np.array([[0.0, 2.0]]),
    ("post_activation", "layercam"): np.array([[3.0, 6.0]], np.float32),
    ("auto_conv", "gradcam"): np.zeros((2, 2)),
    ("auto_conv", "layercam"): np.array([[1.0, 4.0], [0.0, 2.0]]),
}


def test_map_grid_has_roles_in_rows_and_methods_in_columns():
    figure = pictures.map_grid(MAPS)
    *panels, bar = figure.axes
    grid = np.array(panels).reshape(2, 2)
    assert [ax.get_title() for ax in grid[0]] == ["LayerCAM", "Grad-CAM"]
    labels = ["auto_conv\n2 × 2 cells", "post_activation\n1 × 2 cells"]
    assert [row[0].get_ylabel() for row in grid] == labels
    shown = [ax.images[0].get_array().tolist() if ax.images else texts(ax) for ax in grid.flat]
    assert shown == [[[0.25, 1], [0, 0.5]], ["blank"], [[0.5, 1]], [[0, 1]]]
    norms = [ax.images[0].norm for ax in grid.flat if ax.images]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(0, 1)}
    assert bar.get_ylabel() == "Map, U = M / max M (0 to 1)"


def test_map_grid_lies_over_the_film_and_shows_it_alone():
    film = np.full((20, 20), 90, np.uint8)
    figure = pictures.map_grid(MAPS, film=film, title="Film 7")
    assert figure.get_suptitle() == "Film 7"
    grid = np.array(figure.axes[:-1]).reshape(2, 3)
    assert [ax.get_title() for ax in grid[0]] == ["Film", "LayerCAM", "Grad-CAM"]
    assert [[len(ax.images) for ax in row] for row in grid] == [[1, 2, 1], [1, 2, 2]]
    for ax in grid.flat:
        assert ax.images[0].get_array().tolist() == film.tolist()
        assert ax.images[0].get_alpha() is None
    assert grid[1, 2].images[1].get_alpha() == 0.6


def test_map_grid_leaves_out_what_is_not_there():
    some = {key: MAPS[key] for key in list(MAPS)[1:]}
    assert [ax.get_visible() for ax in pictures.map_grid(some).axes[:4]] == [True] * 3 + [False]
    with pytest.raises(ValueError, match=r"method: found \['ablationcam'\].*'layercam'"):
        pictures.map_grid({("auto_conv", "ablationcam"): np.eye(2)})
    with pytest.raises(ValueError, match="method: found"):
        pictures.map_grid({})
    with pytest.raises(ValueError, match="negative"):
        pictures.map_grid({("auto_conv", "layercam"): -np.eye(2)})


def test_image_rows_take_the_first_images_of_the_first_categories():
    images = np.arange(7, dtype=np.uint8)[:, None, None] * np.ones((7, 4, 4), np.uint8)
    labels = [12, 2, 1, 2, 2, 1, 2]
    figure = pictures.image_rows(images, labels, rows=2, columns=3, title="Images")
    grid = np.array(figure.axes).reshape(2, 3)
    assert [row[0].get_ylabel() for row in grid] == ["category 1", "category 2"]
    shown = [[ax.images[0].get_array().max() for ax in row if ax.images] for row in grid]
    assert shown == [[2, 5], [1, 3, 4]]
    every = pictures.image_rows(images, labels, rows=9, columns=9, title="Images")
    assert len(every.axes) == 3 * 4


@pytest.mark.parametrize("count", [1, 3])
def test_no_text_is_clipped_or_smaller_than_eight_points(count):
    keys = [(role, method) for role in ROLES for method in names.METHOD_TITLES][: count**2]
    film, images = np.zeros((20, 20), np.uint8), np.zeros((30, 4, 4), np.uint8)
    for figure in (
        pictures.case_sheet([case(*TWO_CELLS)] * count, title="Cases"),
        pictures.map_grid({key: np.eye(7) for key in keys}),
        pictures.map_grid({key: np.eye(7) for key in keys}, film=film),
        pictures.image_rows(images, np.arange(30) % 10, rows=count, columns=count, title="Images"),
    ):
        assert_legible(figure)
