"""Figures of the lesson on attribution."""

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible, texts

from lib.figures import appendix

pytestmark = pytest.mark.usefixtures("printed_style")


def test_a_strip_scales_each_map_and_names_a_blank_one():
    maps = {"one": np.array([[1.0, 4.0]]), "none": np.zeros((1, 2))}
    figure = appendix.strip(maps, title="Maps", film=np.zeros((8, 8), np.uint8))
    film, one, none = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["Film", "one", "none"]
    assert one.images[-1].get_array().tolist() == [[0.25, 1.0]] and texts(none) == ["blank"]
    assert len(film.images) == 1
    assert_legible(figure)


def test_an_interval_of_two_films_does_not_stretch_the_axis_of_an_overlap():
    cell = {"architecture": "resnet50v2", "role": "stage4", "method": "layercam"}
    rows = [("head", 0.6667, -3.57, 4.9), ("stage 5", 0.5, 0.4, 0.6), ("unrelated", 0.2, 0.1, 0.3)]
    table = pd.DataFrame(rows, columns=["step", "mean", "low", "high"])
    figure = appendix.randomisation(table.assign(metric="iou_top20", **cell))
    (ax,) = figure.axes
    assert -0.1 < ax.get_ylim()[0] < ax.get_ylim()[1] < 1.1
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[0, 1], [0.4, 0.6]], atol=1e-9)
    assert_legible(figure)


def test_the_channels_that_add_most_come_first_and_the_last_picture_is_the_map():
    a = np.zeros((2, 2, 4))
    a[0, 0], a[1, 1] = (1, 2, -3, 0.5), (0, 1, 0, 4)
    g = np.ones((2, 2, 4)) * (1, 1, 1, -1)
    figure = appendix.channels(a, g, title="Channels", most=2)
    rows = np.array(figure.axes).reshape(3, 3)
    assert [ax.get_ylabel() for ax in rows[:2, 0]] == ["channel\n1", "channel\n2"]
    np.testing.assert_array_equal(rows[1, 2].images[0].get_array(), [[-3, 0], [0, 0]])
    # 1 + 2 − 3 is cut off at 0, and the channel with a negative gradient adds nothing.
    np.testing.assert_array_equal(rows[2, 2].images[0].get_array(), [[0, 0], [0, 1]])
    assert rows[0, 0].images[0].get_clim() == (-3, 3)
    assert_legible(figure)
