"""Tables and figures of inference: planted means come back, and what has no value says so."""

import json

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible, legend_texts, texts
from pairs_material import ARCHITECTURES, GRIDS, METHODS, blank, observed, pairs_table

from lib.figures import hypotheses
from lib.figures import rankings as ranking_figures
from lib.hypotheses import estimates, observations, rankings
from lib.hypotheses.stated import load
from lib.report import digest
from lib.report.tables import study_tables
from lib.study import artefacts
from lib.study.paths import StudyPaths

RULE = load().H2
DEAD = {"architecture": "resnet50v2", "method": "gradcam_plus_plus", "role": "auto_conv"}


@pytest.fixture(scope="module")
def study():
    return observed(blank(pairs_table(seeds=3), **DEAD))


@pytest.fixture(scope="module")
def retained(study):
    return estimates.retained_table(study)


@pytest.fixture(scope="module")
def crossover(study):
    table = rankings.crossover_table(study, RULE, GRIDS)
    stated = table[["method_a", "method_b"]].eq(list(RULE.methods)).all(axis=1)
    return table[stated & (table["metric"] == RULE.metric)]


@pytest.fixture(scope="module")
def ranks(study):
    return rankings.rank_tables(study, metric="iou_top20", seed=1, resamples=200)


@pytest.fixture(scope="module")
def nothing():
    return observed(pairs_table(seeds=1, films=4).assign(common=False))


def cell(table, **where):
    for key, value in where.items():
        table = table[table[key] == value]
    (row,) = (row for _, row in table.iterrows())
    return row


def test_retained_evidence_is_that_of_the_planted_means(retained):
    assert set(retained["metric"]) == {"iou_top20", "soft_iou"}
    values = retained.dropna(subset="estimate")
    expected = (0.4 - 0.2) / (0.95 - 0.2)
    assert values["estimate"].to_numpy() == pytest.approx(expected, abs=0.03)
    assert ((values["low"] < values["estimate"]) & (values["estimate"] < values["high"])).all()
    assert set(values["seed_level"]) == {"estimated (3 seeds)"}
    dead = cell(retained, metric="iou_top20", **DEAD)
    assert np.isnan(dead["estimate"]) and (dead["pairs"], dead["blank"]) == (120, 120)
    assert cell(retained, metric="iou_top20", **DEAD | {"role": "post_activation"})["blank"] == 0


def test_retained_evidence_without_a_placebo_above_the_ceiling_has_no_bounds():
    same = {(None, None, None, "ceiling"): 0.97}
    table = estimates.retained_table(observed(pairs_table(seeds=3, iou=same)))
    assert np.isinf(table["low"]).all() and np.isinf(table["high"]).all()


def test_differences_have_the_planted_sizes(study):
    table = estimates.difference_table(study, metrics=["iou_top20"])
    means = table.groupby("contrast")["estimate"].mean().to_dict()
    assert means == pytest.approx(
        {
            "placebo − finetune": 0.55, "seed floor − finetune": 0.3,
            "finetune − ceiling": 0.2, "placebo − ceiling": 0.75,
        },
        abs=0.01,
    )  # fmt: skip
    dead = cell(table, contrast="placebo − finetune", **DEAD)
    assert np.isnan(dead["p_value"]) and dead["blank"] == dead["pairs"] == 240


def test_drift_is_split_into_the_planted_parts(study):
    table = estimates.decomposition_table(study)
    found = table.dropna(subset="estimate").groupby("part")["estimate"].mean()
    expected = {"placebo": 0.02, "systematic": 0.25, "seed_specific": 0.15, "unrelated": 0.8,
                "systematic_share": 0.25 / 0.4, "way_to_unrelated": 0.38 / 0.78}  # fmt: skip
    assert found.to_dict() == pytest.approx(expected, abs=0.005)
    wide = table.pivot_table("estimate", estimates.KEYS, "part")
    cells = study.cells("unit_distance")
    for cell, parts in wide.iterrows():
        drift = cells.influence((*cell, "finetune")).mean
        assert parts["systematic"] + parts["seed_specific"] == pytest.approx(drift, abs=1e-12)
    assert set(table.dropna(subset="estimate")["seed_level"]) == {"estimated (3 seeds)"}
    dead = blank(pairs_table(seeds=3).assign(unit_distance=np.nan), **DEAD)
    assert estimates.decomposition_table(observed(dead))["estimate"].isna().all()
    one = estimates.decomposition_table(observed(pairs_table(seeds=1)))
    assert set(one["part"]) == {"placebo", "unrelated", "way_to_unrelated"}
    place = {"role": DEAD["role"], "method": DEAD["method"]}
    lost = estimates.composition(estimates.decomposition_table(observed(dead)), **place)[1]
    assert lost == "ResNet50V2: the method is undefined there, 360 of 360 pairs of maps are blank."
    (told, *_) = estimates.composition(table, role="post_activation", method="layercam")
    assert told.startswith("DenseNet201: fine-tuning moved 49% (")
    assert (
        "unknown share of the drift"
        in estimates.composition(one, role="post_activation", method="layercam")[0]
    )


def test_the_stacked_parts_end_at_drift_and_at_unrelated_films(study):
    figure = hypotheses.decomposition(estimates.decomposition_table(study))
    assert_legible(figure)
    ends = [
        [round(bar.get_x() + bar.get_width(), 2) for bar in ax.patches[:4]] for ax in figure.axes
    ]
    assert all(end == pytest.approx([0.02, 0.25, 0.4, 0.8], abs=0.02) for end in ends)
    alone = estimates.decomposition_table(observed(pairs_table(seeds=1)))
    assert texts(hypotheses.decomposition(alone).axes[0]) == ["no value"] * 3


def test_the_report_shows_both_shares_at_the_pooled_map(study):
    tables = {"decomposition": estimates.decomposition_table(study)}
    shown = study_tables(tables)["decomposition"]
    assert len(shown.rows) == 3 * 3 * 2
    first, second = ([cell.text for cell in row] for row in shown.rows[:2])
    assert first[:3] == ["DenseNet201", "LayerCAM", "shared by all seeds"]
    assert second[2:4] == ["way to unrelated films", "0.487"] and second[-1] == "3"


def test_partial_agreement_stands_beside_that_with_other_films(study, tmp_path):
    values = np.random.default_rng(0).normal(0.5, 0.05, size=len(study.pairs))
    own = study.pairs.assign(partial=values, partial_other=values - 0.2)
    table = estimates.partial_agreement_table(
        observed(own[own["pairing"] == "finetune_seeds"])
    ).set_index("measure")["estimate"]  # fmt: skip
    for measure, expected in (("partial", 0.5), ("partial_other", 0.3), ("difference", 0.2)):
        assert table[measure].to_numpy() == pytest.approx(expected, abs=0.02)
    assert estimates.partial_agreement_table(None).empty
    paths = StudyPaths(tmp_path, "s")  # with one seed
    artefacts.write_table(paths.tables / "seed_agreement.csv", own[:0])
    assert observations.read(paths, "seed_agreement", support="own") is None


def test_crossover_is_told_for_every_layer(crossover):
    assert len(crossover) == 3 * 2
    pooled = crossover[crossover["role"] == "post_activation"]
    assert pooled["interaction"].abs().max() < 1e-12 and (pooled["answer"] == "identity").all()
    dead = crossover[crossover["role"] == "auto_conv"]
    assert dead["undefined"].str.contains("pairs are blank").sum() == 2
    assert (dead["answer"] == "undefined").sum() == 2
    finer = observed(pairs_table(seeds=3, roles=("auto_conv", "stage4")))
    assert set(rankings.crossover_table(finer, RULE, GRIDS)["role"]) == {"auto_conv"}, (
        "elsewhere grids differ"
    )
    one = rankings.crossover_table(observed(pairs_table(seeds=1)), RULE, {"resnet50v2": 5})
    assert one.empty and list(one)[:2] == ["metric", "first"]
    assert rankings.reversal_sentence(one.assign(answer=[])) == ""


def test_other_pairs_of_methods_follow_the_stated_one_and_a_planted_reversal_is_found():
    planted = {
        ("densenet201", "layercam", "auto_conv", "finetune"): 0.6,
        ("densenet201", "gradcam", "auto_conv", "finetune"): 0.2,
    }
    table = rankings.crossover_table(observed(pairs_table(iou=planted)), RULE, GRIDS)
    pairs = table[["method_a", "method_b"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [
        list(RULE.methods), ["layercam", "gradcam"], ["gradcam_plus_plus", "gradcam"]
    ]  # fmt: skip
    found = table[table["answer"] == "reverses"]
    assert set(found["role"]) == {"auto_conv"} and set(found["first"]) == {"densenet201"}
    assert set(found["metric"]) == {"soft_iou", "iou_top20"}  # the distance was not planted
    assert len(found.query("method_a == 'layercam' and method_b == 'gradcam'")) == 2 * 2
    told = rankings.reversal_sentence(table)
    counted = (table["answer"] != "identity").sum()
    assert told.startswith(f"Of {counted} comparisons") and f": {len(found)} reverses" in told
    assert set(rankings.CROSSOVER) <= set(table)


def test_ranks_are_among_those_that_have_a_value(ranks):
    table, agreement = ranks
    of_dead = table[(table["method"] == DEAD["method"]) & (table["role"] == DEAD["role"])]
    dead = of_dead["architecture"] == DEAD["architecture"]
    assert of_dead.loc[dead, "probability"].isna().all() and dead.sum() == 1
    assert of_dead[~dead].groupby("architecture")["probability"].sum().to_list() == [1, 1]
    pair = agreement[(agreement["method_a"] == "layercam") & agreement["observed"]]
    pair = pair[pair["method_b"] == "gradcam_plus_plus"].set_index("role")
    assert pair["architectures"].to_dict() == {"auto_conv": 2, "post_activation": 3}
    assert pair.loc["post_activation", ["tau", "probability"]].to_list() == [1, 1]
    assert set(table["seeds"]) == {3}


def test_a_planted_order_of_ranks_is_certain():
    means = {(a, None, None, "finetune"): 0.5 - 0.1 * n for n, a in enumerate(ARCHITECTURES)}
    shift = {(a, None, None, "finetune"): 0.05 + 0.02 * n for n, a in enumerate(ARCHITECTURES)}
    found = observed(pairs_table(seeds=3, iou=means, shift=shift))
    for metric in ("iou_top20", "centroid_displacement"):
        table, _ = rankings.rank_tables(found, metric=metric, seed=1, resamples=100)
        for place, name in enumerate(ARCHITECTURES, start=1):
            certain = table[(table["architecture"] == name) & (table["rank"] == place)]
            assert (certain["probability"] == 1).all() and len(certain) == 6


def test_without_common_support_every_cell_stands_with_zero_films(nothing):
    table = estimates.retained_table(nothing)
    assert len(table) == 3 * len(METHODS) * 2 * 2
    assert (table["films"] == 0).all() and table["estimate"].isna().all()
    assert estimates.difference_table(nothing, metrics=["emd"])["estimate"].isna().all()
    crossed = rankings.crossover_table(nothing, RULE, GRIDS)
    assert crossed["interaction"].isna().all()
    assert set(crossed["answer"]) == {"open", "identity"}
    ranks, agreement = rankings.rank_tables(nothing, metric="iou_top20", seed=1)
    assert ranks.empty and agreement.empty


@pytest.mark.usefixtures("printed_style")
def test_the_forest_shows_every_interval_and_names_the_blank_cell(retained):
    figure = hypotheses.retained(retained)
    assert [ax.get_title() for ax in figure.axes] == ["LayerCAM", "Grad-CAM++", "Grad-CAM"]
    first, second, _ = figure.axes
    assert texts(second) == ["no value: 120 of 120 blank"] and not texts(first)
    rows = retained[(retained["metric"] == "iou_top20") & (retained["method"] == "layercam")]
    bars = [line.get_xdata() for line in first.lines if line.get_linewidth() == 2]
    drawn = sorted(tuple(np.round(ends, 6)) for ends in bars if len(ends) == 2)
    assert drawn == sorted(map(tuple, rows[["low", "high"]].to_numpy().round(6)))
    assert legend_texts(figure)[-2:] == ["1 = placebo", "0 = unrelated films"]
    assert "over seeds and patients" in figure.legends[0].get_title().get_text()
    assert_legible(figure)


@pytest.mark.usefixtures("printed_style")
def test_the_forest_of_nothing_and_of_endless_intervals(retained, nothing):
    figure = hypotheses.retained(estimates.retained_table(nothing))
    assert set(texts(figure.axes[0])) == {"no film"}
    assert "patients only" in figure.legends[0].get_title().get_text()
    assert_legible(figure)
    endless = retained.assign(low=-np.inf, high=np.inf)
    arrows = [line.get_marker() for line in hypotheses.retained(endless).axes[0].lines]
    assert arrows.count("<") == arrows.count(">") == 6
    with pytest.raises(ValueError, match=r"'emd'; expected one of \['iou_top20', 'soft_iou'\]"):
        hypotheses.retained(retained, metric="emd")


@pytest.mark.usefixtures("printed_style")
def test_the_interaction_marks_reversals_and_what_was_not_judged(crossover):
    pooled = crossover["role"] == "post_activation"
    table = crossover.assign(answer=crossover["answer"].mask(pooled, "open"))
    table.loc[table.index[pooled][0], "answer"] = "reverses"
    left, right = ranking_figures.interaction(table).axes
    assert (left.get_title(), right.get_title()) == ("auto_conv", "post_activation")
    assert texts(left) == ["no value", "no value", "undefined"] * 2
    assert texts(right) == ["reverses"]
    points = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "D"]
    assert points == pytest.approx([0, 0, 0], abs=1e-9)
    figure = ranking_figures.interaction(crossover)
    assert legend_texts(figure) == [
        "LayerCAM", "Grad-CAM++", "interaction (LayerCAM less Grad-CAM++)",
    ]  # fmt: skip
    assert_legible(figure)
    with pytest.raises(ValueError, match="found 2 pairs of methods with a metric; expected one"):
        ranking_figures.interaction(pd.concat([table, table.assign(method_b="gradcam")]))


@pytest.mark.usefixtures("printed_style")
def test_the_map_of_reversals_has_a_sign_for_every_answer(study):
    table = rankings.crossover_table(study, RULE, GRIDS)
    figure = ranking_figures.reversal_map(table)
    assert_legible(figure)
    signs = {"reverses": "R", "ruled out": "–", "open": "?", "undefined": "∅", "identity": "="}
    for ax in figure.axes:
        assert len(texts(ax)) == 3 * 2 * 3
    shown = [sign for ax in figure.axes for sign in texts(ax)]
    counts = table["answer"].value_counts()
    assert {s: shown.count(s) for s in signs.values()} == {
        sign: int(counts.get(answer, 0)) for answer, sign in signs.items()
    }
    assert {"undefined", "identity"} <= set(counts.index)
    with pytest.raises(ValueError, match=r"answer: found \['maybe'\]"):
        ranking_figures.reversal_map(table.assign(answer="maybe"))


@pytest.mark.usefixtures("printed_style")
def test_rank_probabilities_are_printed_and_gaps_marked(ranks):
    figure = ranking_figures.rank_probabilities(ranks[0])
    panels = {ax.get_title(): ax for ax in figure.axes[:-1]}
    dead = texts(panels["auto_conv · Grad-CAM++"])
    assert dead.count("–") == 5 and len(dead) == 9
    assert "–" not in texts(panels["auto_conv · LayerCAM"])
    assert "Seeds and patients resampled" in figure.legends[0].get_title().get_text()
    assert_legible(figure)
    figure = ranking_figures.rank_probabilities(ranks[0].assign(seeds=1))
    assert "Patients resampled only: one seed" in figure.legends[0].get_title().get_text()


@pytest.mark.usefixtures("printed_style")
def test_maps_no_better_than_random_ones_are_marked_wherever_they_are_drawn(study, retained, ranks):
    table = rankings.crossover_table(study, RULE, GRIDS)
    two = table[table[["method_a", "method_b"]].eq(["layercam", "gradcam"]).all(axis=1)]
    drawn = [
        # Of the map of reversals: two pairs of networks, two of methods, three metrics.
        (hypotheses.retained, retained, 1),
        (hypotheses.decomposition, estimates.decomposition_table(study), 1),
        (ranking_figures.rank_probabilities, ranks[0], 1),
        (ranking_figures.reversal_map, table, 2 * 2 * 3),
        (ranking_figures.interaction, two[two["metric"] == "soft_iou"], 2),
    ]
    for draw, rows, count in drawn:
        for marked in ((), {("resnet50v2", "auto_conv", "gradcam")}):
            figure = draw(rows, marked=marked)
            marks = [text for ax in figure.axes for text in texts(ax) if "†" in text]
            assert len(marks) == (count if marked else 0), draw
            assert ("†: maps" in figure.legends[0].get_title().get_text()) == bool(marked)
            assert_legible(figure)


@pytest.mark.usefixtures("printed_style")
@pytest.mark.parametrize(
    ("draw", "name", "column"),
    [
        (hypotheses.retained, "retained", "blank"),
        (ranking_figures.interaction, "crossover", "effect_b_low"),
        (ranking_figures.rank_probabilities, "ranks", "seeds"),
    ],
)
def test_a_missing_column_is_named(draw, name, column, request):
    table = request.getfixturevalue(name)
    table = table[0] if isinstance(table, tuple) else table
    with pytest.raises(ValueError, match=rf"expected also \['{column}'\]"):
        draw(table.drop(columns=column))


def test_observations_are_read_with_the_patients_of_the_study(tmp_path):
    paths = StudyPaths(tmp_path, "mine")
    assert observations.read(paths) is None
    table = pairs_table(seeds=1, films=4)
    artefacts.write_table(paths.tables / "pairs.csv", table)
    films = pd.DataFrame({"image_id": sorted(table["image_id"].unique())})
    artefacts.write_table(paths.manifest, films.assign(patient_id=["0", "0", "1", "2"]))
    found = observations.read(paths)
    counts = found.counts("iou_top20", ("resnet50v2", "gradcam", "auto_conv", "placebo"))
    assert counts == {"films": 4, "patients": 3, "seeds": 1, "pairs": 4, "blank": 0}
    named = table.assign(patient_id=table["image_id"])
    artefacts.write_table(paths.tables / "shortcut.csv", named)
    assert observations.read(paths, "shortcut").patients.nunique() == 4


def test_the_last_words_of_a_run_have_a_line_for_each_verdict(tmp_path):
    paths = StudyPaths(tmp_path, "mine")
    columns = ["architecture", "checkpoint", "split", "macro_auc", "training"]
    row = ["resnet50v2", "transfer-s0", "test", 0.8, "converged"]
    artefacts.write_table(paths.tables / "performance.csv", pd.DataFrame([row], columns=columns))
    record = artefacts.begin(paths.tables / "drift.csv", parameters={})
    columns = ["architecture", "role", "method", "pairing", "metric", "mean"]
    row = ["resnet50v2", "auto_conv", "layercam", "placebo", "iou_top20", 0.5]
    artefacts.write_table(record.path, pd.DataFrame([row], columns=columns))
    record.complete(weights="fractal")
    assert "Verdicts" not in digest.text(paths)
    record = artefacts.begin(paths.verdicts, parameters={})
    sentences = [f"H{n} is inconclusive: too few." for n in (1, 2)]
    verdicts = {f"H{n}": {"sentence": text} for n, text in enumerate(sentences, start=1)}
    paths.verdicts.write_text(json.dumps({"verdicts": verdicts}), encoding="utf-8")
    record.complete()
    parts = estimates.decomposition_table(observed(pairs_table(seeds=3)))
    artefacts.write_table(paths.tables / "decomposition.csv", parts)
    lines = digest.text(paths).splitlines()
    told = lines.index("LayerCAM at the pooled map")
    assert lines[told + 1].startswith("DenseNet201: fine-tuning moved 49% (")
    start = lines.index("Verdicts")
    assert lines[start + 1 : start + 3] == sentences
    assert f"Verdicts   {paths.verdicts}" in lines


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (["estimated (3 seeds)"] * 2, "over seeds and patients."),
        (["estimated (3 seeds)", "not estimated (0 seeds)"], "over seeds and patients."),
        (["estimated (3 seeds)", "not estimated (1 seed)"], "1 of 2 over patients only"),
        (["not estimated (1 seed)"], "Seed level not estimated"),
        (["not estimated (no pairs)"], "Seed level not estimated"),
    ],
)
def test_the_note_says_which_intervals_contain_the_spread_of_seeds(levels, expected):
    assert expected in hypotheses.seeds_note(pd.Series(levels))
