"""What comes with the head, the features and mere distance: exact, and broken on purpose."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible
from pairs_material import METHODS, observed, pairs_table

from lib.drift.metrics import unit_distance
from lib.figures import controls
from lib.hypotheses import estimates

CELL = {"role": "post_activation", "method": "layercam"}


def compared(**shares):
    """Pairs of a study with controls whose distance is a share of that of fine-tuning."""
    table = pairs_table(seeds=3)
    tuned = table[table["pairing"] == "finetune"]
    parts = [table]
    for pairing, share in shares.items():
        after = tuned["after"].str.replace("finetune", pairing)
        distance = share * tuned["unit_distance"]
        parts.append(tuned.assign(pairing=pairing, after=after, unit_distance=distance))
    return observed(pd.concat(parts, ignore_index=True))


def told(study):
    tables = [
        estimates.decomposition_table(study, parts=parts)
        for parts in (estimates.DECOMPOSITION, estimates.SWAPS)
    ]
    return tables[1], estimates.composition(pd.concat(tables), **CELL)[0]


def mean(study, name):
    return float(study.estimate("unit_distance", {name: 1}).estimate)


def test_the_parts_are_the_steps_averaged_over_both_orders():
    study = compared(head_only=0.2, features_only=0.6, perturbed=0.1)
    table, sentence = told(study)
    for cell, own in table.groupby(estimates.KEYS, sort=False):
        part = own.set_index("part")["estimate"]
        worth = {
            frozenset(group): mean(study, (*cell, pairing)) if pairing else 0.0
            for group, pairing in {
                "": "", ("head",): "head_only", ("features",): "features_only",
                ("head", "features"): "finetune",
            }.items()
        }  # fmt: skip
        orders = list(permutations(("head", "features")))
        for one in ("head", "features"):
            steps = []
            for order in orders:
                before = frozenset(order[: order.index(one)])
                steps.append(worth[before | {one}] - worth[before])
            assert part[one] == pytest.approx(np.mean(steps), abs=1e-12)
        drift = mean(study, (*cell, "finetune"))
        assert part["head"] + part["features"] == pytest.approx(drift, abs=1e-12)
        assert part["head_share"] == pytest.approx(part["head"] / drift)
        assert part["head_share"] == pytest.approx((0.2 + 1 - 0.6) / 2)
    assert "random direction give 10% (10% to 10%) of it" in sentence
    assert "30% (30% to 30%) of it comes with the head, the rest" in sentence


def test_the_split_of_real_maps_is_exact():
    start, head, features, tuned = np.random.default_rng(3).gamma(2, size=(4, 50, 5, 5))
    distance = {
        name: unit_distance(start, maps).mean()
        for name, maps in {"head_only": head, "features_only": features, "finetune": tuned}.items()
    }
    parts = [
        sum(weight * distance[name] for name, weight in estimates.SWAPS[part][0].items())
        for part in ("head", "features")
    ]
    assert sum(parts) == pytest.approx(distance["finetune"], abs=1e-15)


def test_controls_that_are_broken_say_something_else():
    """Swaps with the same checkpoint and steps of length 0 leave the maps of transfer."""
    table, sentence = told(compared(head_only=0, features_only=1, perturbed=0))
    assert table.loc[table["part"] == "head", "estimate"].abs().max() < 1e-12
    assert "random direction give 0%" in sentence and "; 0% (0% to 0%) of it comes" in sentence
    table, sentence = told(compared(head_only=1, features_only=0, perturbed=1))
    assert "random direction give 100%" in sentence and "; 100% (100% to 100%) of it" in sentence
    table, sentence = told(compared())
    assert table.empty and "random direction" not in sentence and "the head" not in sentence


@pytest.mark.usefixtures("printed_style")
def test_the_figure_stacks_parts_of_one_sign():
    table = estimates.decomposition_table(
        compared(head_only=0.25, features_only=0.6), parts=estimates.SWAPS
    )
    table.loc[(table["method"] == METHODS[0]) & (table["part"] == "head"), "estimate"] *= -1
    table.loc[table["method"] == METHODS[1], "estimate"] = np.nan
    figure = controls.head_and_features(table)
    assert_legible(figure)
    negative, none, both = figure.axes[:3]
    head, features = negative.patches[:2]
    assert head.get_width() < 0 and features.get_x() == 0
    assert not none.patches and [text.get_text() for text in none.texts] == ["no value"] * 3
    head, features = both.patches[:2]
    assert features.get_x() == pytest.approx(head.get_width()) and head.get_x() == 0
