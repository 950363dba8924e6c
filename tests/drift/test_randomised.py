"""Randomised weights: what a map keeps, and what the tables call it."""

import itertools

import maps_material
import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible

from lib.drift import randomised as sanity
from lib.figures import appendix
from lib.models import randomise
from lib.models.backbones import stage_of
from lib.study.names import RANDOMISATION_STEPS, sources_of, trained

FILMS, GRID = 60, 5


def map_set(maps):
    found = {("post_activation", name): values for name, values in maps.items()}
    return maps_material.map_set(found, labels=np.arange(FILMS) % 2)


@pytest.fixture(scope="module")
def table():
    """Three methods: one keeps the map, one loses it, one goes blank."""
    draw = np.random.default_rng(5)
    intact = draw.random((FILMS, GRID, GRID)).astype(np.float32)
    kept = {"layercam": intact, "gradcam": intact, "gradcam_plus_plus": intact}
    patients = pd.Series(np.arange(FILMS) // 2, index=map_set(kept).image_id).astype(str)
    steps = {
        step: map_set(
            kept
            | {"gradcam": draw.random(intact.shape).astype(np.float32)}
            | {"gradcam_plus_plus": np.zeros_like(intact)}
        )
        for step in RANDOMISATION_STEPS
    }
    pairs = sanity.randomisation_pairs(
        map_set(kept), steps, patients.to_numpy(), architecture="resnet50v2",
        checkpoint="finetune-s0", seed=1,
    )  # fmt: skip
    return pairs, sanity.randomisation_summary(pairs, patients)


def test_a_method_that_keeps_its_maps_is_called_insensitive(table):
    last = table[1][table[1]["step"] == RANDOMISATION_STEPS[-1]].set_index("method")
    assert dict(last["finding"]) == {
        "layercam": "insensitive", "gradcam": "sensitive", "gradcam_plus_plus": "blank"
    }  # fmt: skip
    assert last.loc["layercam", "mean"] == 1 and last.loc["layercam", "entropy_rise"] == 0
    assert last.loc["gradcam_plus_plus", "blank"] == FILMS and last["n"]["gradcam_plus_plus"] == 0
    assert abs(last.loc["gradcam", "excess"]) < 0.05


def test_only_the_last_step_is_judged_and_the_yardstick_is_of_other_films(table):
    pairs, summary = table
    assert set(summary.loc[summary["finding"].fillna("") != "", "step"]) == {"stage 1"}
    unrelated = pairs[pairs["pairing"] == sanity.UNRELATED]
    assert (unrelated["image_id"] != unrelated["partner_id"]).all()
    assert unrelated["entropy_rise"].isna().all()
    steps = list(summary.query("method == 'layercam'")["step"])
    assert steps == [*RANDOMISATION_STEPS, sanity.UNRELATED]


def test_an_interval_that_neither_excludes_zero_nor_the_margin_is_undecided():
    assert sanity._finding(-0.01, 0.2) == "undecided"
    assert sanity._finding(0.01, 0.04) == "sensitive"  # above 0, and shown to be negligible


def test_entropy_of_the_values():
    one = np.zeros((1, 2, 5))
    one[0, 0, 0] = 3.0
    equal = np.arange(10).reshape(1, 2, 5) + 0.5
    two = np.repeat([0.2, 1.0], 5).reshape(1, 2, 5)
    blank = np.zeros((1, 2, 5))
    found = sanity.value_entropy(np.concatenate([one, equal * 7, two, blank, blank + 1]))
    share = np.array([0.9, 0.1])
    np.testing.assert_allclose(
        found, [-(share * np.log10(share)).sum(), 1, np.log10(2), np.nan, 0], atol=1e-12
    )


def test_the_figure(table, printed_style):
    assert_legible(appendix.randomisation(table[1]))


def test_names_of_sets_of_maps():
    base = "transfer-s3"
    assert sources_of("repeat-s3", base) == (base,) and not trained("randomised-s0")
    assert sources_of("placebo-s1", base) == ("placebo-s1",) and trained("placebo-s1")
    for kind in ("perturbed", "head_only", "features_only"):
        assert sources_of(f"{kind}-s1", base) == (base, "finetune-s1")
        assert not trained(f"{kind}-s1")


def test_the_cascade_permutes_tensors_from_the_head_down(tiny_model):
    model = tiny_model()
    before = [weight.numpy().copy() for weight in model.weights]
    names = [weight.path for weight in model.weights]
    size = model.input_shape[1]
    stage = {f"stage {stage_of(layer, size)}" for layer in model.layers if layer.weights}
    changed = {}
    for step in randomise.cascade(model, seed=1):
        changed[step] = {
            name
            for name, old, new in zip(names, before, model.weights, strict=True)
            if not np.array_equal(old, new.numpy())
        }
    assert list(changed) == list(RANDOMISATION_STEPS)
    assert changed["head"] == {"logits/kernel"}  # the bias is constant: no order to lose
    for one, other in itertools.pairwise(RANDOMISATION_STEPS):
        assert changed[one] <= changed[other]
    assert {"stage 1", "stage 2"} <= stage
    assert "first/kernel" not in changed["stage 2"] and "first/kernel" in changed["stage 1"]
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(np.sort(old, None), np.sort(new.numpy(), None))


def test_a_randomisation_is_fixed_by_its_seed(tiny_model):
    def randomised(seed):
        model = tiny_model(seed=4)
        randomise.randomise(model, seed=seed)
        return np.concatenate([weight.numpy().ravel() for weight in model.weights])

    model = tiny_model(seed=4)
    list(randomise.cascade(model, seed=1))
    last = np.concatenate([weight.numpy().ravel() for weight in model.weights])
    np.testing.assert_array_equal(randomised(1), last)
    assert not np.array_equal(randomised(1), randomised(2))
