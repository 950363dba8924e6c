"""What a plan says can be decided is what studies of that size do decide."""

import re

import numpy as np
import pytest
from crossed_material import Studies
from pairs_material import agreement_table, blank, gains_table, observed, pairs_table

from lib.hypotheses.power import smallest, told
from lib.hypotheses.stated import load
from lib.inference.contrasts import Estimate, contrast
from lib.published import duration
from lib.published import recompute as published
from lib.study.load import load as parameters
from lib.study.load import parse_overrides

RULES = load()
CELL = {("a", "x"): 1.0}


def simulated(seeds, films, mean=0.0, seed=0):
    cells = Studies(2000, seeds=seeds, films=films, spread=0.03, seed=seed).add(
        *next(iter(CELL)), mean
    )
    return contrast(cells.crossed(), CELL), len(set(cells.patients))


def test_an_effect_of_the_smallest_size_is_shown_with_the_stated_power():
    """Planned with five seeds and 150 films, from a study with three seeds and 60 films."""
    before, then = simulated(3, 60)
    parts = (np.sqrt((part**2).mean()) for part in (before.se_patients, before.se_seeds))
    typical = Estimate(0.0, np.nan, np.nan, "estimated (3 seeds)", *parts)
    patients = then, then * 150 / 60
    needed = smallest(typical, alpha=0.02, seeds=(3, 5), patients=patients)
    found, _ = simulated(5, 150, mean=needed, seed=1)
    assert (found.p_value("greater") <= 0.02).mean() == pytest.approx(0.8, abs=0.05)
    few = smallest(typical, alpha=0.02, seeds=(3, 5), patients=(then, then))
    assert few > needed > smallest(typical, alpha=0.02, seeds=(3, 12), patients=patients)


def test_a_spread_of_seeds_that_is_not_known_gives_no_size():
    one = Estimate(0.0, np.nan, np.nan, "not estimated (1 seed)", 0.1, np.nan)
    assert np.isnan(smallest(one, alpha=0.02, seeds=(1, 3), patients=(20, 20)))


@pytest.fixture(scope="module")
def finished():
    """A finished study; one cell of H2 has no map."""
    roles = ("auto_conv", "post_activation", "stage4")
    table = blank(pairs_table(roles=roles, noise=0.1), architecture="resnet50v2",
                  method="gradcam_plus_plus", role="auto_conv")  # fmt: skip
    tables = {"pairs": table, "seed_agreement": agreement_table(),
              "lesion_gain": gains_table({"finetune": 0.05, "placebo": 0})}  # fmt: skip
    return {name: observed(each) for name, each in tables.items()}


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+", text)]


def test_each_rule_says_how_large_an_effect_has_to_be(finished):
    five = told(RULES, finished, seeds=5, more_films=1)
    assert list(five) == ["H1", "H2", "H4", "H6"], "H3 needs no inference, H5 has no experiment"
    assert re.fullmatch(
        r"With 80 % it would show drift beyond the placebo that is \S+ above its threshold and "
        r"partial agreement of two seeds that is \S+ above its threshold, in the least certain "
        r"cell\.", five["H1"],
    )  # fmt: skip
    assert "that is" in five["H4"] and "below its threshold" in five["H4"]
    assert "of opposite sign, in the clearest pair" in five["H2"]
    twelve = told(RULES, finished, seeds=12, more_films=10)
    for name, text in five.items():
        # The error that later looks may spend is smaller, and still the effects may be.
        assert all(a > b > 0 for a, b in zip(numbers(text), numbers(twelve[name]), strict=True))
    assert told(RULES, finished, seeds=4, more_films=1) == {}, "four seeds are no look"
    assert told(RULES, {}, seeds=5, more_films=1) == {}
    single = {name: each.without(0).without(1).without(2).without(3)
              for name, each in finished.items()}  # fmt: skip
    assert told(RULES, single, seeds=5, more_films=1) == {}


def test_a_plan_has_the_sizes_of_the_published_study_of_its_name(finished, tmp_path, monkeypatch):
    params = parameters("phantom", parse_overrides("seeds=[0,1,2]"))
    assert published.power(tmp_path, RULES, seeds=3, films=100) == {}
    plain = duration.judged(params, RULES, published=tmp_path, films=100)
    monkeypatch.setattr(published, "observed", lambda folder, rules: finished)
    monkeypatch.setattr(published, "read_table", lambda file: [0] * 50)
    lines = duration.judged(params, RULES, published=tmp_path, films=100)
    sizes = told(RULES, finished, seeds=3, more_films=2)
    assert lines[0] == f"{plain[0]} {sizes['H1']}" and lines[2] == plain[2]
    assert lines[-1] == "Sizes of effects: by the spread of results/reference/phantom."
    assert not any("With 80 %" in line for line in plain) and len(lines) == len(plain) + 1
