"""Evidence in known masks: closed forms of cover, mass and peak, and the tables of them."""

import maps_material
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lib.data import cache
from lib.data.films.squares import resize_mask
from lib.drift.pairings import Pairing
from lib.drift.priors import centre_prior
from lib.evidence.changes import (
    MEASURES,
    change_summary,
    changes_of_study,
    evidence_of_study,
    evidence_summary,
)
from lib.evidence.mass import mask_on_grid, pointing_game, relevance_mass

LEFT = np.array([[[True, False], [True, False]]])  # left half, cells as pixels


def random_masks(count=5, shape=(7, 11)):
    return np.random.default_rng(4).random((count, *shape)) < 0.4


def test_a_border_that_cuts_through_cells_shares_them_exactly():
    # 2 × 3 pixels on 1 × 2 cells: the middle column of pixels belongs half to either cell.
    mask = np.array([[[True, True, False], [True, False, False]]])
    np.testing.assert_allclose(mask_on_grid(mask, (1, 2)), [[[5 / 6, 1 / 6]]], rtol=1e-15)
    # A grid finer than the mask cuts the pixels instead.
    np.testing.assert_array_equal(mask_on_grid(LEFT, (1, 4)), [[[1, 1, 0, 0]]])


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (5, 5), (7, 11), (10, 13)])
def test_cover_keeps_the_area_of_any_mask_on_any_grid(grid):
    masks = random_masks()
    cover = mask_on_grid(masks, grid)
    assert cover.shape == (5, *grid)
    np.testing.assert_allclose(cover.mean(axis=(1, 2)), masks.mean(axis=(1, 2)), rtol=1e-13)
    full = mask_on_grid(np.ones((1, 7, 11), bool), grid)
    np.testing.assert_allclose(full, 1, rtol=1e-13)
    assert full.max() <= 1


def test_the_grid_covers_the_padding_of_a_letterboxed_film():
    """A film twice as wide as high fills the middle half of the square, and so does its mask."""
    mask = resize_mask(np.ones((64, 128), bool), size=160, aspect="letterbox")
    cover = mask_on_grid(mask[None], (4, 4))
    np.testing.assert_array_equal(cover[0], [[0] * 4, [1] * 4, [1] * 4, [0] * 4])


@pytest.mark.parametrize("masks", [np.ones((2, 4, 4)), np.ones((4, 4), bool)])
def test_masks_of_another_kind_are_refused(masks):
    with pytest.raises(ValueError, match=r"masks: found .* expected bool of shape \(N, H, W\)"):
        mask_on_grid(masks, (2, 2))
    with pytest.raises(ValueError, match=r"grid: found \(0, 2\)"):
        mask_on_grid(LEFT, (0, 2))


def test_mass_of_a_uniform_map_is_the_area():
    masks = random_masks()
    cover = mask_on_grid(masks, (5, 5))
    mass = relevance_mass(np.full((5, 5, 5), 3.0), cover)
    np.testing.assert_allclose(mass, masks.mean(axis=(1, 2)), rtol=1e-13)


def test_mass_in_one_cell_is_the_cover_of_that_cell():
    cover = mask_on_grid(np.array([[[True, True, False]]]), (1, 2)).repeat(2, axis=0)
    # The second cell is one and a half pixels wide, half a pixel of it inside.
    np.testing.assert_allclose(relevance_mass([[[4, 0]], [[0, 4]]], cover), [1, 1 / 3])
    np.testing.assert_allclose(relevance_mass([[[3, 1]], [[1, 3]]], cover), [5 / 6, 1 / 2])


@pytest.mark.parametrize("measure", [relevance_mass, pointing_game])
def test_a_positive_factor_changes_nothing_even_near_overflow(measure):
    maps, cover = np.random.default_rng(1).random((9, 5, 5)), mask_on_grid(random_masks(9), (5, 5))
    expected = measure(maps, cover)
    for factor in (1e-300, 7.0, 1e308):
        np.testing.assert_allclose(measure(maps * factor, cover), expected, rtol=1e-12)


@pytest.mark.parametrize("measure", [relevance_mass, pointing_game])
def test_maps_without_mass_have_no_answer(measure):
    maps = np.array([[[0, 0]], [[np.nan, 1]], [[np.inf, 1]], [[1, 0]]])
    cover = np.ones((4, 1, 2))
    np.testing.assert_array_equal(measure(maps, cover), [np.nan, np.nan, np.nan, 1])
    assert measure(np.empty((0, 1, 2)), np.empty((0, 1, 2))).shape == (0,)


@pytest.mark.parametrize("measure", [relevance_mass, pointing_game])
def test_maps_and_cover_that_do_not_fit_are_refused(measure):
    with pytest.raises(ValueError, match=r"cover: found shape \(1, 2, 1\)"):
        measure(np.ones((1, 1, 2)), np.ones((1, 2, 1)))
    with pytest.raises(ValueError, match=r"cover: found values from 0 to 2; expected shares"):
        measure(np.ones((1, 1, 2)), [[[0, 2]]])
    with pytest.raises(ValueError, match="negative"):
        measure([[[-1, 1]]], [[[0, 1]]])


def test_pointing_game_takes_the_first_of_several_peaks_and_any_cover():
    cover = np.broadcast_to([[[0, 0.01, 1]]], (4, 1, 3))
    maps = [[[1, 2, 0]], [[2, 2, 0]], [[0, 2, 2]], [[2, 1, 1]]]
    np.testing.assert_array_equal(pointing_game(maps, cover), [1, 0, 1, 0])


def test_centre_prior_is_a_symmetric_gaussian():
    prior = centre_prior((3, 5), sd=0.5)
    np.testing.assert_array_equal(prior, prior[::-1, ::-1])
    assert prior[1, 2] == 1
    assert prior[0, 2] == pytest.approx(np.exp(-((1 / 3) ** 2) / 2 / 0.25))
    assert len(np.unique(centre_prior((10, 10))[4:6, 4:6])) == 1, "rounding must not break the tie"


# Four films on 2 × 2 cells: a lesion in the left half, one in the upper left cell, none, a lesion
# of the left half whose map is blank; lungs are the upper half.
LESIONS = np.zeros((4, 4, 4), bool)
LESIONS[[0, 3], :, :2] = True
LESIONS[1, :2, :2] = True
LUNGS = np.zeros((4, 4, 4), bool)
LUNGS[:, :2] = True
MAPS = np.array(
    [[[3, 1], [2, 2]], [[1, 1], [1, 5]], [[3, 3], [1, 1]], [[2, 2], [2, 2]]], np.float32
)
FACTS = {"classes": ("normal", "covid19"), "patients": ["p1", "p2", "p2", "p3"]}


def map_set(**maps):
    stacks = {("auto_conv", method): stack for method, stack in maps.items()}
    return maps_material.map_set(stacks, labels=[1, 1, 0, 1], ids=list("abcd"))


def evidence_of(sets, lesions=LESIONS, lungs=LUNGS, markers=None):
    masks = {"lesion": lesions, "lung": lungs, "marker": markers}
    return evidence_of_study({"resnet50v2": sets}, {"resnet50v2": masks}, **FACTS)


def test_evidence_of_known_maps():
    table = evidence_of({"transfer-s0": map_set(layercam=MAPS)})
    nan = np.nan
    assert table["image_id"].tolist() == ["a", "b", "c", "d"]
    assert table["label"].tolist() == ["covid19", "covid19", "normal", "covid19"]
    assert table["patient_id"].tolist() == FACTS["patients"]
    assert table["blank"].tolist() == ["", "", "", "constant"]
    expected = {
        "lesion_area": [0.5, 0.25, nan, 0.5],
        "lesion_mass": [5 / 8, 1 / 8, nan, nan],
        "lesion_enrichment": [5 / 4, 1 / 2, nan, nan],
        "lesion_hit": [1, 0, nan, nan],
        "lung_area": [0.5] * 4,
        "lung_mass": [1 / 2, 1 / 4, 3 / 4, nan],
        "lesion_hit_uniform": [0.5, 0.25, nan, 0.5],
        # Four cells around the centre are alike, and the first is the peak.
        "lesion_mass_centre": [0.5, 0.25, nan, 0.5],
        "lung_mass_centre": [0.5] * 4,
        "lesion_hit_centre": [1, 1, nan, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, err_msg=name)


def test_without_masks_nothing_is_known():
    one = {"transfer-s0": map_set(layercam=MAPS)}
    table = evidence_of(one, lesions=None)
    assert table.filter(like="lesion").isna().all(axis=None)
    assert table["lung_mass"].notna().sum() == 3
    with pytest.raises(ValueError, match="lesion: found 3 masks; expected one for each of the 4"):
        evidence_of(one, lesions=LESIONS[:3])


def test_a_marker_is_measured_by_its_area_and_only_where_it_is_known():
    masks = np.zeros_like(np.asarray(LESIONS))
    masks[0, 0, 0] = True
    maps = map_set(layercam=MAPS)
    table = evidence_of({"transfer-s0": maps, "repeat-s0": maps}, markers=masks)
    first, others = table.iloc[0], table.iloc[1:4]
    assert first["marker_area"] == pytest.approx(masks[0].mean())
    assert first["marker_enrichment"] == pytest.approx(first["marker_mass"] / first["marker_area"])
    assert others["marker_enrichment"].isna().all()
    assert "marker_enrichment" not in evidence_of({"transfer-s0": maps})
    change = changes_of_study(table, [Pairing("explainer", "transfer-s0", "repeat-s0")])
    assert change["marker_enrichment_change"].iloc[0] == 0
    assert "marker_enrichment" in set(change_summary(change)["measure"])


def test_masks_are_read_for_the_wanted_films(tmp_path):
    np.save(tmp_path / "lungs_4.npy", LUNGS & LESIONS)
    found = cache.lung_masks(tmp_path, [1, 3], size=4)
    np.testing.assert_array_equal(found, (LUNGS & LESIONS)[[1, 3]])
    assert cache.lung_masks(tmp_path, [1, 3], size=5) is None


@pytest.fixture(scope="module")
def study():
    """Two checkpoints: all mass moves into the upper left cell, which is lesion and lung."""
    there = np.zeros_like(MAPS)
    there[:, 0, 0] = 2
    sets = {
        "transfer-s0": map_set(layercam=MAPS, gradcam=MAPS),
        "finetune-s1": map_set(layercam=there, gradcam=MAPS[::-1]),
    }
    return evidence_of(sets)


def test_study_names_every_checkpoint_and_its_stage(study):
    names = study[["architecture", "checkpoint", "stage"]].value_counts()
    assert names.to_dict() == {
        ("resnet50v2", "transfer-s0", "transfer"): 8,
        ("resnet50v2", "finetune-s1", "finetune"): 8,
    }


def test_summary_sets_means_beside_chance_on_the_scored_films(study):
    summary = evidence_summary(study)
    cell = summary.query("checkpoint == 'transfer-s0' and method == 'layercam'")
    cell = cell.set_index("measure")
    assert cell.index.tolist() == list(MEASURES)
    columns = ["n", "patients", "blank", "mean", "uniform", "centre"]
    expected = {
        "lesion_mass": (2, 2, 1, 3 / 8, 3 / 8, 3 / 8),
        "lesion_enrichment": (2, 2, 1, 7 / 8, 1, 1),
        "lesion_hit": (2, 2, 1, 1 / 2, 3 / 8, 1),
        "lung_mass": (3, 2, 1, 1 / 2, 1 / 2, 1 / 2),
    }
    for measure, values in expected.items():
        np.testing.assert_allclose(cell.loc[measure, columns].astype(float), values)


def test_summary_by_class_keeps_a_class_without_lesions(study):
    summary = evidence_summary(study, by=("method", "stage", "label"))
    normal = summary.query("method == 'layercam' and stage == 'transfer' and label == 'normal'")
    normal = normal.set_index("measure")
    assert normal["n"].tolist() == [0, 0, 0, 1] and normal["blank"].tolist() == [0] * 4
    assert np.isnan(normal.loc["lesion_mass", "mean"])
    assert normal.loc["lung_mass", "mean"] == pytest.approx(3 / 4)
    assert np.isnan(normal.loc["lung_mass", "low"]), "one patient gives no interval"
    with pytest.raises(ValueError, match=r"expected also \['epoch'\]"):
        evidence_summary(study, by=("epoch",))


def test_interval_is_that_of_student_and_counts_patients_not_films():
    values = np.array([0.1, 0.4, 0.3, 0.9])
    table = pd.DataFrame({f"{m}{end}": 0.5 for m in MEASURES for end in ("", "_centre", "_uniform")}
        | {"lesion_area": 0.5, "lung_area": 0.5, "role": "auto_conv"}, index=range(4))  # fmt: skip
    table = table.assign(lesion_mass=values, patient_id=list("abcd"))
    expected = ttest_1samp(values, 0).confidence_interval()
    once = evidence_summary(table, by=["role"]).iloc[0]
    np.testing.assert_allclose(once[["low", "high"]].astype(float), expected)
    twice = evidence_summary(pd.concat([table, table], ignore_index=True), by=["role"]).iloc[0]
    assert (twice["n"], twice["patients"]) == (8, 4)
    np.testing.assert_allclose(twice[["low", "high"]].astype(float), expected)


TUNED = Pairing("finetune", "transfer-s0", "finetune-s1")


def test_change_is_after_minus_before_by_film_whatever_the_order(study):
    turned = pd.concat([study[:8], study[:7:-1]])
    change = changes_of_study(turned, [TUNED]).set_index(["method", "image_id"])
    moved = change.loc["layercam"]
    np.testing.assert_allclose(moved["lesion_mass_change"], [3 / 8, 7 / 8, np.nan, np.nan])
    np.testing.assert_allclose(moved["lesion_enrichment_change"], [3 / 4, 7 / 2, np.nan, np.nan])
    np.testing.assert_allclose(moved["lesion_hit_change"], [0, 1, np.nan, np.nan])
    np.testing.assert_allclose(moved["lung_mass_change"], [1 / 2, 3 / 4, 1 / 4, np.nan])
    assert moved["lesion_area"].tolist()[:2] == [0.5, 0.25]
    # A map that is blank on either side has no change.
    assert change.loc["gradcam", "lung_mass_change"].isna().tolist() == [True, False, False, True]


def test_changes_of_a_study_leave_out_unrelated_films_and_missing_checkpoints(study):
    wanted = [TUNED, Pairing("ceiling", "transfer-s0", "finetune-s1")]
    wanted.append(Pairing("placebo", "transfer-s0", "placebo-s1"))
    change = changes_of_study(study, wanted)
    assert set(change["pairing"]) == {"finetune"} and len(change) == 8
    assert set(change["after"]) == {"finetune-s1"}
    with pytest.raises(ValueError, match=r"found \['finetune-s1', 'transfer-s0'\]"):
        changes_of_study(study, wanted[1:])


def test_change_is_tested_on_the_same_films(study):
    """The interval is that of the differences, film by film."""
    gains = np.array([0.01, 0.02, 0.02, 0.03])
    changes = {f"{measure}_change": gains for measure in MEASURES}
    table = pd.DataFrame(changes | {"patient_id": list("abcd"), "role": "auto_conv"})
    found = change_summary(table, by=["role"]).iloc[0]
    expected = ttest_1samp(gains, 0).confidence_interval()
    np.testing.assert_allclose(found[["low", "high"]].astype(float), expected)
    assert found["mean"] == pytest.approx(0.02) and found["low"] > 0
    summary = change_summary(changes_of_study(study, [TUNED]))
    cell = summary.query("method == 'layercam' and measure == 'lung_mass'").iloc[0]
    assert (cell["n"], cell["patients"]) == (3, 2)
    assert cell["mean"] == pytest.approx(1 / 2)


def test_tables_of_different_films_are_not_subtracted(study):
    with pytest.raises(ValueError, match=r"evidence: found .* twice; expected once"):
        changes_of_study(pd.concat([study, study]), [TUNED])
    with pytest.raises(ValueError, match="finetune-s1: found 1 maps in one table alone"):
        changes_of_study(study[:-1], [TUNED])
