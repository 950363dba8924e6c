"""Maps that share nothing, or only the centre: what drift metrics say of them is known."""

import numpy as np
import pytest

from lib.drift import priors


@pytest.fixture(scope="module")
def table():
    return priors.prior_table([5, 7], width=0.25, shape=7, pairs=4000, seed=3)


def value(table, column, **where):
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    (found,) = table[column]
    return found


def test_overlap_of_random_masks_is_exact():
    assert priors.expected_overlap(4, 4) == 1
    assert priors.expected_overlap(4, 1) == pytest.approx(1 / 4)
    # Two of four cells each: 1/6 the same two, 4/6 one in common (1/3), 1/6 none.
    assert priors.expected_overlap(4, 2) == pytest.approx(1 / 6 + 4 / 6 / 3)
    for share in (0.1, 0.2, 0.5):  # large grids
        found = priors.expected_overlap(5000, int(share * 5000))
        assert found == pytest.approx(share / (2 - share), rel=0.005)


@pytest.mark.parametrize("grid", [5, 7])
def test_uniform_maps_overlap_as_the_closed_form_says(table, grid):
    found = {"prior": "uniform", "metric": "iou_top20", "grid": grid}
    exact, se = value(table, "exact", **found), value(table, "se", **found)
    assert exact == pytest.approx(0.2 / 1.8, rel=0.1)
    assert abs(value(table, "mean", **found) - exact) < 4 * se
    pearson = {"prior": "uniform", "metric": "pearson", "grid": grid}
    assert abs(value(table, "mean", **pearson)) < 4 * value(table, "se", **pearson)


def test_the_centre_prior_alone_looks_like_stability(table):
    """Independent maps: overlap at half maximum 0.42 and 0.33, Pearson about 0.75, shift 2–4 %."""
    for grid, half in ((5, 0.42), (7, 0.33)):
        centre = {"prior": "centre", "grid": grid}
        assert value(table, "mean", metric="iou_half", **centre) == pytest.approx(half, abs=0.03)
        assert value(table, "mean", metric="pearson", **centre) == pytest.approx(0.73, abs=0.03)
        shift = value(table, "mean", metric="centroid_displacement", **centre) * np.sqrt(2)
        assert 0.02 <= shift <= 0.04
        top = value(table, "mean", metric="iou_top20", **centre)
        assert top > 3 * value(table, "mean", metric="iou_top20", prior="uniform", grid=grid)


def test_maps_follow_their_law():
    maps = priors.draw_maps(20_000, 5, width=0.25, shape=7, seed=1)
    mean = maps.mean(axis=0)
    assert mean[2, 2] == pytest.approx(1, abs=0.02)
    assert mean[0, 2] / mean[2, 2] == pytest.approx(np.exp(-(0.4**2) / (2 * 0.25**2)), rel=0.03)
    flat = priors.draw_maps(20_000, 5, width=None, shape=4, seed=1)
    assert flat.var() == pytest.approx(1 / 4, rel=0.03)


def test_a_seed_gives_the_same_table_and_grids_do_not_disturb_each_other(table):
    alone = priors.prior_table([7], width=0.25, shape=7, pairs=4000, seed=3)
    seven = table[table["grid"] == 7].reset_index(drop=True)
    assert alone.equals(seven)
    other = priors.prior_table([7], width=0.25, shape=7, pairs=4000, seed=4)
    assert not other["mean"].equals(seven["mean"])


@pytest.mark.parametrize(("width", "shape"), [(0.2, 3.0), (0.4, 20.0), (0.5, 2.0)])
def test_a_prior_is_found_again_from_what_its_maps_have_in_common(width, shape):
    maps = priors.draw_maps(8000, 5, width=width, shape=shape, seed=11)
    alike = priors.metrics.compare(maps[:4000], maps[4000:], metrics=("soft_iou", "pearson"))
    found = priors.fitted_prior(5, **alike[["soft_iou", "pearson"]].mean(), seed=2)
    assert found == pytest.approx((width, shape), rel=0.1)
    table = priors.prior_table(
        [5], width=0.25, shape=7, pairs=4000, seed=3, fitted={"fitted": (5, *found)}
    )
    again = table[table["prior"] == "fitted"].set_index("metric")["mean"]
    assert again["soft_iou"] == pytest.approx(alike["soft_iou"].mean(), abs=0.01)
    assert again["pearson"] == pytest.approx(alike["pearson"].mean(), abs=0.02)


def test_what_no_centre_explains_has_no_fitted_prior():
    """Hardly any overlap of the masses and yet a high correlation, or no number at all."""
    assert priors.fitted_prior(5, soft_iou=0.05, pearson=0.95, seed=2) is None
    assert priors.fitted_prior(5, soft_iou=np.nan, pearson=0.5, seed=2) is None
