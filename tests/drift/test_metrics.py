"""Known answers for the drift metrics and the table of all of them."""

import math
import tracemalloc

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cosine
from skimage.metrics import structural_similarity
from sklearn.metrics import jaccard_score

from lib.attribution import arrays
from lib.drift import metrics as drift

PAIR_METRICS = {
    "centroid_displacement": drift.centroid_displacement,
    "iou_top20": drift.iou_top,
    "iou_half": drift.iou_half,
    "soft_iou": drift.soft_iou,
    "pearson": drift.pearson,
    "spearman": drift.spearman,
    "ssim": drift.ssim,
    "gini_change": drift.gini_change,
    "entropy_change": drift.entropy_change,
    "unit_distance": drift.unit_distance,
    "emd": drift.emd,
}
SIMILARITIES = ["iou_top20", "iou_half", "soft_iou", "pearson", "spearman", "ssim"]
CHANGES = ["gini_change", "entropy_change"]
every_metric = pytest.mark.parametrize("name", PAIR_METRICS)


def random_maps(count, h, w, *, seed):
    """Maps with zeros and ties, as a ReLU leaves them; none is blank."""
    values = np.random.default_rng(seed).normal(loc=0.4, size=(count, h, w))
    return np.round(np.maximum(values, 0), 2)


def point_mass(h, w, row, column):
    mass = np.zeros((1, h, w))
    mass[0, row, column] = 1
    return mass


@pytest.fixture
def pair():
    return random_maps(12, 5, 7, seed=1), random_maps(12, 5, 7, seed=2)


def test_metrics_are_listed_in_reading_order():
    assert tuple(PAIR_METRICS) == drift.METRICS
    assert list(drift.SIMILARITIES) == SIMILARITIES


# Identities and symmetries


@every_metric
def test_identical_maps(name, pair):
    value = PAIR_METRICS[name](pair[0], pair[0].copy())
    expected = 1 if name in SIMILARITIES else 0
    tolerance = 1e-14 if name in ("pearson", "spearman") else 0
    np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance)


@every_metric
def test_exchanging_the_checkpoints(name, pair):
    sign = -1 if name in CHANGES else 1
    forward, backward = PAIR_METRICS[name](*pair), PAIR_METRICS[name](*pair[::-1])
    assert np.abs(forward).max() > 0
    np.testing.assert_allclose(backward, sign * forward, rtol=0, atol=1e-12)


@every_metric
@pytest.mark.parametrize("factors", [(3, 1), (1, 1e-30), (1e30, 0.1)])
def test_positive_scaling_changes_nothing(name, factors, pair):
    scaled = PAIR_METRICS[name](factors[0] * pair[0], factors[1] * pair[1])
    np.testing.assert_allclose(scaled, PAIR_METRICS[name](*pair), rtol=0, atol=1e-12)


def test_scaled_copy_has_no_distance(pair):
    assert (drift.emd(pair[0], 3 * pair[0]) == 0).all()


def test_extreme_scales_do_not_overflow():
    huge, tiny = np.full((1, 2, 2), 1e308), point_mass(2, 2, 0, 0) * 1e-310
    assert drift.normalised_entropy(huge) == pytest.approx(1)
    assert drift.soft_iou(huge, tiny) == pytest.approx((1 / 4) / (1 + 3 / 4))


# Closed forms


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iou_top20", 0),
        ("iou_half", 0),
        ("soft_iou", 0),
        ("pearson", -1 / 19),  # two indicators of different single cells among n: -1 / (n - 1)
        ("spearman", -1 / 19),
        ("gini_change", 0),
        ("entropy_change", 0),
        ("centroid_displacement", math.hypot(3 / 4, 4 / 5) / math.sqrt(2)),
        ("unit_distance", 2),
        ("emd", math.hypot(3 / 4, 4 / 5) / math.sqrt(2)),
    ],
)
def test_disjoint_masses(name, expected):
    value = PAIR_METRICS[name](point_mass(4, 5, 0, 0), point_mass(4, 5, 3, 4))
    assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("n", [5, 7, 8])
@pytest.mark.parametrize("metric", [drift.centroid_displacement, drift.emd])
def test_shift_by_one_cell(metric, n, axis):
    spread = np.zeros((1, n, n))
    spread[:, 1:3, 1:4] = np.random.default_rng(n).uniform(0.1, 1, size=(2, 3))
    maps = np.concatenate([point_mass(n, n, 2, 2), spread])
    shifted = np.roll(maps, 1, axis=axis)
    np.testing.assert_allclose(metric(maps, shifted), 1 / (n * math.sqrt(2)), rtol=1e-9)


def test_shift_by_one_cell_on_the_similarities():
    maps = np.zeros((1, 5, 5))
    maps[0, 1, 0:4] = 1
    shifted = np.roll(maps, 1, axis=2)
    for metric in (drift.iou_top, drift.iou_half, drift.soft_iou):
        assert metric(maps, shifted) == pytest.approx(3 / 5)  # 3 of 4 + 4 - 3 cells


def test_uniform_against_point_mass():
    uniform, point = np.full((1, 4, 5), 0.3), point_mass(4, 5, 1, 1)
    n = 20
    assert drift.gini(uniform) == pytest.approx(0, abs=1e-15)
    assert drift.gini(point) == pytest.approx((n - 1) / n)
    assert drift.gini_change(uniform, point) == pytest.approx((n - 1) / n)
    assert drift.normalised_entropy(uniform) == pytest.approx(1)
    assert drift.normalised_entropy(point) == 0
    assert drift.entropy_change(uniform, point) == pytest.approx(-1)
    assert drift.soft_iou(uniform, point) == pytest.approx((1 / n) / (2 - 1 / n))
    assert np.isnan(drift.pearson(uniform, point)) and np.isnan(drift.spearman(uniform, point))


def test_centroid_is_x_then_y_at_cell_centres():
    maps = np.concatenate([point_mass(4, 5, 3, 0), np.ones((1, 4, 5))])
    np.testing.assert_allclose(drift.centroid(maps), [[0.1, 0.875], [0.5, 0.5]])


def test_mass_split_over_two_sinks():
    source = point_mass(3, 3, 1, 1)
    sinks = 0.25 * point_mass(3, 3, 1, 2) + 0.75 * point_mass(3, 3, 0, 0)
    expected = (0.25 * 1 + 0.75 * math.sqrt(2)) / 3 / math.sqrt(2)
    assert drift.emd(source, sinks) == pytest.approx(expected)


def test_tiny_difference_keeps_relative_precision():
    almost = point_mass(3, 3, 0, 0) + 1e-10 * point_mass(3, 3, 2, 2)
    expected = 1e-10 * (2 / 3)
    assert drift.emd(point_mass(3, 3, 0, 0), almost) == pytest.approx(expected, rel=1e-5)


# Masks


def test_ties_go_to_the_lowest_flat_index():
    maps = np.array([[[1, 2, 1], [1, 1, 2], [1, 1, 1]]])
    mask = drift.top_mask(maps, fraction=4 / 9)
    assert np.flatnonzero(mask).tolist() == [0, 1, 2, 5]


def test_zero_cells_never_enter():
    maps = np.array([[[0, 0, 0], [0, 0.5, 0], [0, 0, 0.1]]])
    assert np.flatnonzero(drift.top_mask(maps, fraction=1)).tolist() == [4, 8]
    assert not drift.top_mask(np.zeros((1, 3, 3)), fraction=0.5).any()
    assert not drift.top_mask(np.full((1, 3, 3), np.nan), fraction=0.5).any()


@pytest.mark.parametrize(
    ("h", "w", "fraction", "count"),
    [(5, 5, 0.2, 5), (7, 7, 0.2, 10), (8, 8, 0.2, 13), (10, 10, 0.07, 7), (3, 3, 1e-6, 1)],
)
def test_mask_area(h, w, fraction, count):
    maps = np.random.default_rng(0).uniform(0.1, 1, size=(6, h, w))
    mask = drift.top_mask(maps, fraction=fraction)
    assert mask.sum(axis=(1, 2)).tolist() == [count] * 6
    assert all(maps[i][mask[i]].min() > maps[i][~mask[i]].max() for i in range(6))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_random_masks_have_the_expected_overlap(share):
    generator = np.random.default_rng(3)
    a, b = generator.uniform(0.1, 1, size=(2, 4000, 20, 20))
    mean = drift.iou_top(a, b, fraction=share).mean()
    assert mean == pytest.approx(share / (2 - share), abs=0.002)


# Independent implementations


@pytest.mark.parametrize(
    ("metric", "reference"), [(drift.pearson, stats.pearsonr), (drift.spearman, stats.spearmanr)]
)
def test_correlations_agree_with_scipy(metric, reference, pair):
    expected = [reference(a.ravel(), b.ravel()).statistic for a, b in zip(*pair, strict=True)]
    np.testing.assert_allclose(metric(*pair), expected, rtol=0, atol=1e-12)


def test_unit_distance_agrees_with_scipy_and_splits_as_a_variance_does(pair):
    expected = [2 * cosine(a.ravel(), b.ravel()) for a, b in zip(*pair, strict=True)]
    np.testing.assert_allclose(drift.unit_distance(*pair), expected, rtol=0, atol=1e-12)
    # n maps against one: distance of their mean, and half of what two of them differ by.
    start, n = pair[0][:1], len(pair[1])
    total = drift.unit_distance(pair[1], np.repeat(start, n, axis=0)).mean()
    i, j = np.triu_indices(n, k=1)
    spread = drift.unit_distance(pair[1][i], pair[1][j]).mean() / 2
    unit = [maps.reshape(len(maps), -1) for maps in (pair[1], start)]
    unit = [cells / np.linalg.norm(cells, axis=1, keepdims=True) for cells in unit]
    shared = np.square(unit[0].mean(axis=0) - unit[1][0]).sum()
    assert total == pytest.approx(shared + spread * (n - 1) / n, abs=1e-12)


@pytest.mark.parametrize(("h", "w", "size"), [(5, 5, 56), (7, 7, 56), (8, 8, 40), (4, 7, 56)])
def test_ssim_agrees_with_opencv_and_scikit_image(h, w, size, monkeypatch):
    monkeypatch.setattr(drift, "_UPSAMPLED_PAIRS_PER_CHUNK", 4)
    pair = random_maps(9, h, w, seed=4), random_maps(9, h, w, seed=5)
    expected = []
    for maps in zip(*pair, strict=True):
        a, b = (cv2.resize(m / m.max(), (size, size), interpolation=cv2.INTER_LINEAR) for m in maps)
        expected.append(structural_similarity(a, b, data_range=1.0))
    np.testing.assert_allclose(drift.ssim(*pair, size=size), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("h", "w"), [(2, 4), (3, 3)])
def test_emd_agrees_with_scipy(h, w):
    pair = random_maps(4, h, w, seed=6), random_maps(4, h, w, seed=7)
    y, x = np.mgrid[:h, :w]
    cells = np.column_stack([(x.ravel() + 0.5) / w, (y.ravel() + 0.5) / h])
    expected = [
        stats.wasserstein_distance_nd(cells, cells, a.ravel(), b.ravel()) / math.sqrt(2)
        for a, b in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(drift.emd(*pair), expected, rtol=1e-7)


def test_emd_on_a_line_agrees_with_the_cumulative_distance():
    a, b = random_maps(20, 1, 30, seed=8), random_maps(20, 1, 30, seed=9)
    at = (np.arange(30) + 0.5) / 30 / math.sqrt(2)
    expected = [stats.wasserstein_distance(at, at, u[0], v[0]) for u, v in zip(a, b, strict=True)]
    np.testing.assert_allclose(drift.emd(a, b), expected, rtol=1e-7)


def test_emd_is_bounded_by_the_centroid_displacement_and_the_triangle():
    a, b, c = (random_maps(15, 7, 7, seed=seed) for seed in (10, 11, 12))
    assert (drift.emd(a, b) >= drift.centroid_displacement(a, b) - 1e-12).all()
    assert (drift.emd(a, c) <= drift.emd(a, b) + drift.emd(b, c) + 1e-12).all()


def test_overlap_agrees_with_scikit_learn(pair):
    masks = [drift.top_mask(maps, fraction=0.3) for maps in pair]
    expected = [jaccard_score(a.ravel(), b.ravel()) for a, b in zip(*masks, strict=True)]
    np.testing.assert_allclose(drift.iou_top(*pair, fraction=0.3), expected)
    halves = [maps >= maps.max(axis=(1, 2), keepdims=True) / 2 for maps in pair]
    expected = [jaccard_score(a.ravel(), b.ravel()) for a, b in zip(*halves, strict=True)]
    np.testing.assert_allclose(drift.iou_half(*pair), expected)


def test_concentration_agrees_with_other_forms(pair):
    cells = pair[0].reshape(12, 35)
    differences = np.abs(cells[:, :, None] - cells[:, None, :]).mean(axis=(1, 2))
    np.testing.assert_allclose(drift.gini(pair[0]), differences / (2 * cells.mean(axis=1)))
    expected = stats.entropy(cells, base=35, axis=1)
    np.testing.assert_allclose(drift.normalised_entropy(pair[0]), expected)


# Blank maps


@pytest.fixture
def blank_maps():
    maps = random_maps(5, 3, 3, seed=13)
    maps[1], maps[2], maps[3, 0, 0], maps[4, 2, 1] = 0, 0.7, np.nan, -np.inf
    return maps


def test_blank_reason(blank_maps):
    expected = ["", "all zero", "constant", "not finite", "not finite"]
    assert arrays.blank_reason(blank_maps).tolist() == expected


@pytest.mark.parametrize("side", ["a", "b"])
def test_blank_against_anything_is_named_and_never_scored(side, blank_maps):
    evidence = random_maps(5, 3, 3, seed=14)
    maps = (blank_maps, evidence) if side == "a" else (evidence, blank_maps)
    table = drift.compare(*maps)
    reasons = ["", "all zero", "constant", "not finite", "not finite"]
    assert table["blank"].tolist() == [f"{side}: {why}" if why else "" for why in reasons]
    assert table[list(drift.METRICS)].notna().all(axis=1).tolist() == [True] + [False] * 4
    assert table.loc[1:, list(drift.METRICS)].isna().all(axis=None)
    clean = drift.compare(maps[0][:1], maps[1][:1])
    pd.testing.assert_frame_equal(table[:1], clean)


def test_blank_on_both_sides_names_both():
    zero, constant = np.zeros((1, 3, 3)), np.ones((1, 3, 3))
    assert drift.compare(zero, zero)["blank"].item() == "a: all zero; b: all zero"
    assert drift.compare(zero, constant)["blank"].item() == "a: all zero; b: constant"


@every_metric
@pytest.mark.parametrize("blank", [0, np.nan, np.inf])
def test_metric_without_mass_is_nan_beside_scored_pairs(name, blank, pair):
    a, b = pair
    expected = PAIR_METRICS[name](a, b)
    a[3], b[5] = blank, blank
    expected[[3, 5]] = np.nan
    np.testing.assert_allclose(PAIR_METRICS[name](a, b), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("metric", [drift.centroid, drift.gini, drift.normalised_entropy])
def test_measure_of_a_map_without_mass_is_nan(metric, blank_maps):
    missing = np.isnan(metric(blank_maps)).reshape(5, -1)
    assert missing.all(axis=1).tolist() == [False, True, False, True, True]
    assert not missing[[0, 2]].any()


# The table of all metrics


def test_compare_agrees_with_the_single_metrics(pair):
    single = [maps.astype(np.float32) for maps in pair]
    table = drift.compare(*single)
    assert list(table) == [*drift.METRICS, "blank"]
    for name, metric in PAIR_METRICS.items():
        np.testing.assert_array_equal(table[name], metric(*single), err_msg=name)
    assert (table.dtypes[list(drift.METRICS)] == np.float64).all()


def test_compare_takes_a_choice_of_metrics(pair):
    assert list(drift.compare(*pair, metrics=["emd", "soft_iou"])) == ["emd", "soft_iou", "blank"]


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_chunks_do_not_change_the_table(chunk, pair, monkeypatch):
    pair[0][4], pair[1][10] = 0, 1
    whole = drift.compare(*pair)
    monkeypatch.setattr(drift, "_PAIRS_PER_CHUNK", chunk)
    # Sums over another number of rows may be taken in another order: allow the last digits.
    pd.testing.assert_frame_equal(drift.compare(*pair), whole, rtol=0, atol=1e-13)


def test_no_pairs_make_an_empty_table():
    table = drift.compare(np.zeros((0, 7, 7)), np.zeros((0, 7, 7)))
    assert list(table) == [*drift.METRICS, "blank"] and table.empty


def test_memory_is_flat_in_the_number_of_pairs(monkeypatch):
    monkeypatch.setattr(drift, "_PAIRS_PER_CHUNK", 100)
    metrics = [name for name in drift.METRICS if name not in ("ssim", "emd")]
    peaks = []
    for count in (400, 4000):
        maps = np.random.default_rng(0).uniform(size=(2, count, 14, 14)).astype(np.float32)
        tracemalloc.start()
        table = drift.compare(maps[0], maps[1], metrics=metrics)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Only the table itself may grow (twice while it is assembled), not copies of the 3 MB stacks.
    assert peaks[1] - peaks[0] < 3 * table.memory_usage().sum() < maps[0].nbytes


# Wrong input

GOOD = np.ones((2, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: drift.compare(GOOD, GOOD[:1]), r"maps_b: found shape \(1, 3, 3\); .*\(2, 3, 3\)"),
        (lambda: drift.emd(GOOD, np.ones((2, 3, 4))), r"maps_b: found shape \(2, 3, 4\)"),
        (lambda: drift.compare(GOOD[0], GOOD[0]), r"maps_a: .* \(3, 3\) .* expected .*\(N, h, w\)"),
        (lambda: drift.gini(np.ones((2, 1, 1))), r"maps: .*at least two cells"),
        (lambda: drift.gini(GOOD * 1j), "maps: .*complex128; expected real numbers"),
        (lambda: drift.compare(GOOD, -0.5 * GOOD), r"maps_b: found negative .*lowest -0.5.*ReLU"),
        (lambda: arrays.blank_reason(-GOOD), "maps: found negative values"),
        (lambda: drift.compare(GOOD, GOOD, metrics=["iou"]), r"metrics: found \['iou'\]; expected"),
        (lambda: drift.compare(GOOD, GOOD, metrics="emd"), "metrics: found .*expected a list"),
        (lambda: drift.ssim(GOOD, 2 * GOOD, size=6), "size: found 6; expected an integer"),
        (lambda: drift.top_mask(GOOD, fraction=0), r"fraction: found 0; .*\(0, 1\]"),
        (lambda: drift.iou_top(GOOD, GOOD, fraction=20), r"fraction: found 20; .*\(0, 1\]"),
    ],
)
def test_wrong_input_names_what_was_found_and_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        drift.iou_top(GOOD, GOOD, 0.2)
