"""Result tables from maps made by hand, the choice of cases, and the last words of a run."""

import maps_material
import numpy as np
import pandas as pd
import pytest

from lib import __main__ as commands
from lib.attribution.maps import blank_tables, load_maps
from lib.data import cache
from lib.drift import cases, pairings, summaries
from lib.drift import metrics as drift
from lib.models import performance
from lib.report import digest
from lib.study import artefacts
from lib.study.errors import ArtefactError
from lib.study.paths import StudyPaths

NAMES = ("a", "b")
KEY = ("post_activation", "layercam")
IDS = [f"00{n}" for n in range(8)]
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PATIENTS = ["p", "p", "q", "q", "r", "r", "s", "t"]
WANTED = pairings.pairings([0], [0, 1])


def spots(cells):
    """Maps of 5 × 5 cells whose five highest are the row `cell` of each film; None is blank."""
    maps = np.full((len(cells), 5, 5), 0.1, np.float32)
    for film, cell in zip(maps, cells, strict=True):
        film[...] = 0 if cell is None else film
        film[cell if cell is not None else slice(0)] = 1
    return maps


def map_set(rows, *, wrong=(), ids=IDS):
    """Maps with a bright row per film, predicted rightly except for the films in `wrong`."""
    return maps_material.map_set({KEY: spots(rows)}, labels=LABELS, ids=ids, wrong=wrong)


def compared(sets, tmp_path, **options):
    own = summaries.own_support(sets)
    return summaries.drift_tables(
        sets, WANTED, PATIENTS, own, seed=3, pairs_file=tmp_path / "tables/pairs.csv", **options
    )


def test_own_supports_are_larger_and_their_films_keep_to_themselves(tmp_path):
    still = [0] * 8
    sets = {
        "a": {name: map_set(still) for name in ("transfer-s0", "finetune-s0")},
        "b": {"transfer-s0": map_set(still), "finetune-s0": map_set(still, wrong=[0, 5])}
        | {"randomised-s0": map_set(still, wrong=range(8))},
    }
    own = summaries.own_support(sets)
    assert own["a"].all() and np.flatnonzero(~own["b"]).tolist() == [0, 5]
    compared(sets, tmp_path)
    pairs = artefacts.read_table(tmp_path / "tables/pairs.csv")
    of = pairs[pairs["pairing"] == "finetune"].groupby("architecture")[["common", "own"]].sum()
    assert of.to_numpy().tolist() == [[6, 8], [6, 6]]
    unrelated = pairs[(pairs["pairing"] == "ceiling") & (pairs["architecture"] == "a")]
    assert (unrelated["own"]).all(), "everyone is in the own support of a"


def value(table, column, **where):
    """The only value of `column` in the rows that `where` names."""
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    (found,) = table[column]
    return found


def test_films_count_that_every_checkpoint_of_the_architecture_has_right():
    still = [0] * 8
    sets = {
        "densenet201": {"transfer-s0": map_set(still, wrong=[1]), "finetune-s0": map_set(still)},
        "resnet50v2": {"transfer-s0": map_set(still, wrong=[4, 5]), "finetune-s0": map_set(still)},
    }
    own = summaries.own_support(sets)
    assert np.flatnonzero(~own["densenet201"]).tolist() == [1]
    assert np.flatnonzero(~own["resnet50v2"]).tolist() == [4, 5]
    table = summaries.support_table(own, LABELS, classes=(*NAMES, "none"))
    assert table.to_dict("list") == {
        "label": [*NAMES, "none"], "films": [4, 4, 0], "common": [3, 2, 0],
        "densenet201": [3, 4, 0], "resnet50v2": [4, 2, 0],
    }  # fmt: skip
    sets["resnet50v2"]["finetune-s0"] = map_set(still, ids=IDS[::-1])
    with pytest.raises(ValueError, match="resnet50v2/finetune-s0 has maps of 8 films that are not"):
        summaries.own_support(sets)


def test_a_grid_too_fine_for_the_costly_metrics_goes_without_them(tmp_path):
    def fine(rows):
        maps = map_set(rows)
        maps.maps[KEY] = np.kron(maps.maps[KEY], np.ones((4, 4), np.float32))  # 20 × 20 cells
        return maps

    sets = {"x": {"transfer-s0": fine([0] * 8), "finetune-s0": fine([0] * 4 + [1] * 4)}}
    whole, _, _ = compared(sets, tmp_path)
    assert set(whole["metric"]) == set(drift.METRICS) - {"emd"}
    assert value(whole, "mean", pairing="finetune", metric="iou_top20") == 0.5
    pairs = artefacts.read_table(tmp_path / "tables/pairs.csv")
    assert pairs["emd"].isna().all() and pairs["iou_top20"].notna().all()


def test_drift_of_known_maps(tmp_path):
    """The placebo moves nothing, the first fine-tuning three of six films, the second all."""
    before = [0, 1, 2, 3, 4, 0, 1, 2]
    sets = {
        "resnet50v2": {
            "transfer-s0": map_set(before, wrong=[7]),
            "placebo-s0": map_set(before),
            "finetune-s0": map_set([0, 1, 2, 0, 0, 4, 0, 0], wrong=[6]),
            "finetune-s1": map_set([(row + 1) % 5 for row in before]),
        }
    }
    drift, strata, pairs = compared(sets, tmp_path)
    of_metric = drift[drift["metric"] == "iou_top20"]

    def mean(pairing, after, column="mean"):
        return value(of_metric, column, pairing=pairing, after=after)

    assert mean("placebo", "placebo-s0") == 1 and mean("placebo", "placebo-s0", "sd") == 0
    # Films 0 to 5: one of four moved in the first class, both in the second.
    assert mean("finetune", "finetune-s0") == pytest.approx((3 / 4 + 0) / 2)
    assert mean("finetune", "finetune-s0", "sd") == pytest.approx(np.sqrt(6 * 0.25 / 5))
    assert mean("finetune", "finetune-s1") == 0
    assert set(of_metric["n"][of_metric["pairing"] != "ceiling"]) == {6}
    assert set(of_metric["before"][of_metric["pairing"] != "finetune_seeds"]) == {"transfer-s0"}
    # Between the two fine-tunings: rows 0 1 2 0 0 4 against 1 2 3 4 0 1: film 4 alone agrees.
    assert value(of_metric, "mean", pairing="finetune_seeds") == pytest.approx((0 + 1 / 2) / 2)
    alike, _, _ = compared(sets, tmp_path, class_weights=False)
    alike = alike[alike["metric"] == "iou_top20"]
    assert value(alike, "mean", pairing="finetune_seeds") == pytest.approx(1 / 6)
    assert "placebo-s1" not in set(drift["after"])  # it has no maps
    # A row that moves by one of five cells: 0.2 of the side, 0.2 / √2 of the diagonal; a bright
    # cell weighs 10, a dim one 1, so of the mass of 70 a share of 45/70 moves.
    moved = pairs.query("pairing == 'finetune' and image_id == '000'")
    assert sorted(moved["iou_top20"]) == [0, 1] and len(pairs.query("pairing == 'placebo'")) == 6
    full = artefacts.read_table(tmp_path / "tables/pairs.csv").query("after == 'finetune-s1'")
    shift = full[(full["pairing"] == "finetune") & (full["image_id"] == "001")]
    assert shift["centroid_displacement"].item() == pytest.approx(
        45 / 70 * 0.2 / np.sqrt(2), rel=1e-5
    )
    assert shift["soft_iou"].item() == pytest.approx(25 / 115, rel=1e-5)
    # By outcome over all films: 6 becomes wrong, 7 becomes right.
    by_stratum = strata[(strata["metric"] == "iou_top20") & (strata["after"] == "finetune-s0")]
    by_stratum = by_stratum[by_stratum["pairing"] == "finetune"].set_index("stratum")["n"]
    assert by_stratum.to_dict() == {"kept-correct": 6, "lost": 1, "rescued": 1}


def test_the_file_of_pairs_holds_every_pair_and_marks_the_common_support(tmp_path):
    sets = {
        name: {"transfer-s0": map_set([0] * 8, wrong=[2]), "finetune-s0": map_set([1] * 8)}
        for name in ("densenet201", "resnet50v2")
    }
    compared(sets, tmp_path)
    full = artefacts.read_table(tmp_path / "tables/pairs.csv")
    assert full.groupby(["architecture", "pairing"]).size().tolist() == [8, 8, 8, 8]
    tuned = full[full["pairing"] == "finetune"]
    assert (
        tuned["image_id"].tolist() == IDS * 2 and (tuned["image_id"] == tuned["partner_id"]).all()
    )
    assert tuned["common"].tolist() == [n != 2 for n in range(8)] * 2
    of_two = full[full["pairing"] == "ceiling"]
    expected = (of_two["image_id"] != "002") & (of_two["partner_id"] != "002")
    assert of_two["common"].tolist() == expected.tolist() and not expected.all()


def test_ceiling_pairs_are_of_one_class_and_two_patients(tmp_path):
    """A film that is wrong somewhere is absent from both sides of the pairs."""
    sets = {"resnet50v2": {"transfer-s0": map_set([0] * 8, wrong=[0, 4]),
                           "finetune-s0": map_set([0] * 8)}}  # fmt: skip
    drift, _, pairs = compared(sets, tmp_path)
    full = artefacts.read_table(tmp_path / "tables/pairs.csv")
    full = full[full["pairing"] == "ceiling"]
    patient, label = dict(zip(IDS, PATIENTS, strict=True)), dict(zip(IDS, LABELS, strict=True))
    for first, second in zip(full["image_id"], full["partner_id"], strict=True):
        assert patient[first] != patient[second] and label[first] == label[second]
    wrong = ["000", "004"]
    usable = ~full["image_id"].isin(wrong)
    assert not full[usable]["partner_id"].isin(wrong).any(), "the support pairs with itself"
    assert set(drift[drift["pairing"] == "ceiling"]["n"]) == {usable.sum()}
    assert set(pairs[pairs["pairing"] == "ceiling"]["image_id"]) == set(full[usable]["image_id"])


def test_an_empty_common_support_keeps_every_cell_with_no_film(tmp_path):
    sets = {"resnet50v2": {"transfer-s0": map_set([0] * 8, wrong=range(8)),
                           "finetune-s0": map_set([1] * 8)}}  # fmt: skip
    drift, strata, pairs = compared(sets, tmp_path)
    rows = drift[drift["metric"] == "iou_top20"]
    assert rows["pairing"].tolist() == ["finetune", "ceiling"]
    assert rows["n"].tolist() == [0, 0] and rows["blank"].tolist() == [0, 0]
    assert rows[["mean", "sd"]].isna().all(axis=None) and len(pairs) == 0
    assert set(strata["stratum"]) == {"rescued"}
    assert summaries.over_seeds(drift)["n"].eq(0).all()


def test_blank_maps_are_counted_and_not_scored(tmp_path):
    sets = {"resnet50v2": {"transfer-s0": map_set([0, None, 2, 3, 4, 0, 1, 2], wrong=[7]),
                           "finetune-s0": map_set([0, 1, None, 3, 0, 0, 1, None])}}  # fmt: skip
    drift, _, pairs = compared(sets, tmp_path)
    row = drift[(drift["metric"] == "iou_top20") & (drift["pairing"] == "finetune")].iloc[0]
    assert (row["n"], row["blank"]) == (5, 2)  # 1 and 2 are blank, 7 is outside the support
    assert row["mean"] == pytest.approx((2 / 4 + 2 / 3) / (2 / 4 + 3 / 3))  # by class
    reasons = pairs[pairs["pairing"] == "finetune"].set_index("image_id")["blank"]
    assert reasons["001"] == "a: all zero" and reasons["002"] == "b: all zero"
    counts = blank_tables(sets, classes=NAMES)
    assert counts.columns[:2].tolist() == ["architecture", "checkpoint"]
    found = counts.set_index(["checkpoint", "label"])[["reason", "blank", "n"]]
    assert found.loc[("transfer-s0", "a")].tolist() == ["all zero", 1, 4]
    assert found.loc[("transfer-s0", "b")].tolist() == ["none", 0, 4]
    assert found.loc[("finetune-s0", "b")].tolist() == ["all zero", 1, 4]


def test_a_comparison_without_pairs_says_what_is_missing(tmp_path):
    sets = {"resnet50v2": {"transfer-s0": map_set([0] * 8), "placebo-s1": map_set([0] * 8)}}
    drift, *_ = compared(sets, tmp_path)
    assert set(drift["pairing"]) == {"placebo"}
    del sets["resnet50v2"]["placebo-s1"]
    with pytest.raises(ArtefactError, match="nothing to compare, no architecture has maps of two"):
        compared(sets, tmp_path)


def test_a_failure_half_way_leaves_the_older_file_of_pairs(tmp_path):
    good = {"transfer-s0": map_set([0] * 8), "finetune-s0": map_set([0] * 8)}
    compared({"densenet201": good}, tmp_path)
    file = tmp_path / "tables/pairs.csv"
    older = file.read_bytes()
    bad = dict(good, **{"finetune-s0": map_set([0] * 8)})
    bad["finetune-s0"].maps[KEY][0, 0, 0] = -1  # no map of ours is negative
    with pytest.raises(ValueError, match="negative"):
        compared({"densenet201": good, "resnet50v2": bad}, tmp_path)
    assert file.read_bytes() == older and [path.name for path in file.parent.iterdir()] == [
        file.name
    ]


def test_means_are_over_all_scored_pairs_by_their_weights():
    table = pd.DataFrame(
        {
            "architecture": "x", "method": "m", "role": "r", "metric": "emd",
            "pairing": ["finetune", "finetune", "placebo", "finetune"],
            "n": [10, 30, 5, 0], "mean": [0.2, 0.6, 0.1, np.nan], "sd": [0.3, 0.4, 0.05, np.nan],
            "weight": [2.0, 6.0, 1.0, 0.0], "blank": [1, 2, 0, 7],
        }
    )  # fmt: skip
    found = summaries.over_seeds(table.iloc[:3]).set_index("pairing")
    assert found.loc["finetune", ["pairs", "n", "blank"]].tolist() == [2, 40, 3]
    assert found.loc["finetune", "mean"] == pytest.approx(0.5)
    assert found.loc["finetune", "sd"] == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert found.loc["finetune", "sd_pairs"] == pytest.approx(0.4 / np.sqrt(2))
    assert found.loc["placebo", "pairs"] == 1 and np.isnan(found.loc["placebo", "sd_pairs"])
    assert found.loc["placebo", "sd"] == pytest.approx(0.05)
    blank = summaries.over_seeds(table).set_index(
        "pairing"
    )  # a pair of blanks alone adds its count
    assert (
        blank.loc["finetune", "mean"] == pytest.approx(0.5) and blank.loc["finetune", "blank"] == 10
    )


def predictions(logits, labels, splits):
    names = [f"0{n}" for n in range(len(labels))]
    table = pd.DataFrame({"image_id": names, "patient_id": names, "split": splits, "label": labels})
    for index, name in enumerate(NAMES):
        table[f"logit_{name}"] = np.array(logits, float)[:, index]
    return table


@pytest.fixture
def study(tmp_path):
    """Two complete checkpoints of one architecture and one that is not complete."""
    paths = StudyPaths(tmp_path, "mine")
    for name, logits in (
        ("transfer-s0", [[2, 0], [1, 0], [0, 1], [2, 0]]),
        ("finetune-s0", [[2, 0], [0, 1], [0, 1], [0, 3]]),
        ("placebo-s0", [[0, 0]] * 4),
    ):
        table = predictions(logits, ["a", "b", "b", "b"], ["test", "test", "test", "validation"])
        artefacts.write_table(paths.predictions("resnet50v2", name), table)
        history = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25], "kept": [False, True],
                                "converged": [False, name.startswith("transfer")]})  # fmt: skip
        artefacts.write_table(paths.history("resnet50v2", name), history)
        record = artefacts.begin(paths.checkpoint("resnet50v2", name), parameters={})
        artefacts.write_text(record.path, "weights")
        map_set([0] * 8).save(paths.maps("resnet50v2", name))
        if name != "placebo-s0":
            record.complete()
            artefacts.begin(paths.maps("resnet50v2", name), parameters={}).complete()
    return paths


CHECKPOINTS = ("transfer-s0", "finetune-s0", "placebo-s0")


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_tables_gather_complete_checkpoints_only(study):
    table = performance.performance_table(study, ["resnet50v2"], CHECKPOINTS, classes=NAMES)
    test = table[table["split"] == "test"].set_index("checkpoint")
    assert test.index.tolist() == ["transfer-s0", "finetune-s0"]
    assert test["accuracy"].tolist() == pytest.approx([2 / 3, 1]) and test["n"].tolist() == [3, 3]
    assert set(table["architecture"]) == {"resnet50v2"} and len(table) == 4
    history = performance.history_table(study, ["resnet50v2"], CHECKPOINTS)
    assert history["loss"].tolist() == [0.5, 0.25] * 2
    columns = ["architecture", "checkpoint", "epoch", "loss", "kept", "converged"]
    assert history.columns.tolist() == columns
    assert test["training"].tolist() == ["converged", "failed"]  # no better than where it started
    with pytest.raises(ArtefactError, match="no complete checkpoint of densenet201, inceptionv3"):
        performance.history_table(study, ["densenet201", "inceptionv3"], CHECKPOINTS)


def test_jointly_correct_films_are_known_before_any_map(study):
    two = CHECKPOINTS[:2]
    assert performance.jointly_correct(study, ["resnet50v2"], two[:1], classes=NAMES) == [
        "00",
        "02",
    ]
    assert performance.jointly_correct(study, ["resnet50v2"], two[1:], classes=NAMES) == [
        "00", "01", "02",
    ]  # fmt: skip
    assert performance.jointly_correct(study, ["resnet50v2"], two, classes=NAMES) == ["00", "02"]


def test_confusions_of_test_films(study):
    table = performance.confusion_table(study, ["resnet50v2"], CHECKPOINTS, classes=NAMES)
    counts = table.set_index(["checkpoint", "true", "predicted"])["count"]
    assert counts["transfer-s0"].to_dict() == {
        ("a", "a"): 1, ("b", "a"): 1, ("a", "b"): 0, ("b", "b"): 1,
    }  # fmt: skip
    assert counts["finetune-s0", "b", "b"] == 2 and counts.groupby("checkpoint").sum().eq(3).all()


def test_maps_are_loaded_if_complete_and_refused_if_changed(study):
    found = load_maps(study, "resnet50v2", CHECKPOINTS)
    assert list(found) == ["transfer-s0", "finetune-s0"]
    np.testing.assert_array_equal(found["transfer-s0"].maps[KEY], spots([0] * 8))
    map_set([1] * 8).save(study.maps("resnet50v2", "finetune-s0"))
    with pytest.raises(ArtefactError, match=r"finetune-s0\.npz: changed since it was completed"):
        load_maps(study, "resnet50v2", CHECKPOINTS)


def pairs_of(overlaps):
    """A pair per film and value; None is blank, a list is one value per fine-tuning."""
    rows = [
        {"role": KEY[0], "method": KEY[1], "image_id": name, "iou_top20": one}
        for name, values in overlaps.items()
        for one in (values if isinstance(values, list) else [values])
    ]
    other = [{**row, "method": "gradcam", "iou_top20": 1 - (row["iou_top20"] or 0)} for row in rows]
    return pd.DataFrame(rows + other).astype({"iou_top20": float})


def chosen(overlaps, **options):
    sets = {"transfer-s0": map_set([0] * 8), "finetune-s0": map_set([1] * 8)}
    found = cases.choose_cases(
        sets, pairs_of(overlaps), role=KEY[0], method=KEY[1],
        checkpoints=("transfer-s0", "finetune-s0"), **options,
    )  # fmt: skip
    return [case.caption.split(" · ")[0] for case in found], found


def test_cases_are_the_most_and_the_least_moved():
    overlaps = {"000": 0.5, "001": 0.9, "002": 0.1, "003": None, "004": 0.3, "005": 0.8, "006": 0.0}
    assert chosen(overlaps, most=2)[0] == ["006", "002", "005", "001"]
    assert chosen(overlaps, most=1)[0] == ["006", "001"]
    assert chosen(overlaps, most=3)[0] == ["006", "002", "004", "000", "005", "001"]  # 003 is blank
    assert chosen({"000": 0.5, "004": 0.2}, most=3)[0] == ["004", "000"]
    assert chosen({"000": None}, most=3)[0] == []


def test_ties_between_cases_go_by_image_id():
    overlaps = dict.fromkeys(["005", "002", "007", "000"], 0.5)
    assert chosen(overlaps, most=1)[0] == ["000", "007"]
    assert chosen(dict(reversed(overlaps.items())), most=1)[0] == ["000", "007"]


def test_cases_are_ranked_by_the_mean_over_fine_tunings():
    overlaps = {"000": [0.0, 1.0], "001": [0.4, 0.4], "002": [0.6, None]}
    assert chosen(overlaps, most=2)[0] == ["001", "000", "002"]


def test_a_case_shows_its_own_film_maps_and_probabilities():
    films = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((4, 4), np.uint8)
    lesions = np.zeros((8, 4, 4), bool)
    lesions[4, 1, 2] = True
    overlaps = {"004": 0.25, "001": 0.75}
    _, (first, second) = chosen(overlaps, films=films, lesions=lesions, most=1)
    assert (first.film == 4).all() and (second.film == 1).all()
    assert first.lesion.sum() == 1 and second.lesion is None
    np.testing.assert_array_equal(first.map_a, spots([0])[0])
    np.testing.assert_array_equal(first.map_b, spots([1])[0])
    sure = np.exp(2) / (np.exp(2) + 1)
    assert first.caption == f"004 · IoU top-20 % 0.25 · p {sure:.2f} → {sure:.2f}"
    _, (plain, _) = chosen(overlaps, most=1)
    assert not plain.film.any() and plain.film.shape == (5, 5)  # no film may be shown


def test_rows_and_lesions_of_the_test_films(tmp_path):
    manifest = pd.DataFrame({"row": [3, 1, 2, 0], "split": ["test", "train", "validation", "test"]})
    rows = cache.film_rows(manifest)
    assert list(rows) == [3, 0]
    assert cache.lesion_masks(tmp_path, rows, size=4) is None
    np.save(tmp_path / "lesion_4.npy", np.arange(4)[:, None, None] * np.ones((4, 4), int))
    found = cache.lesion_masks(tmp_path, rows, size=4)
    assert found[:, 0, 0].tolist() == [3, 0]


@pytest.fixture
def finished(tmp_path):
    """A finished study whose fine-tuned Grad-CAM++ maps are all blank."""

    def make(weights="fractal"):
        paths = StudyPaths(tmp_path, "mine")
        columns = ["architecture", "checkpoint", "split", "macro_auc", "training"]
        artefacts.write_table(paths.tables / "performance.csv", pd.DataFrame([
            ["resnet50v2", "transfer-s0", "test", 0.8, "converged"],
            ["resnet50v2", "finetune-s0", "test", 0.9, "converged"],
            ["resnet50v2", "finetune-s1", "test", 0.95, "failed"],
            ["resnet50v2", "transfer-s0", "all", 0.1, "converged"],
        ], columns=columns))  # fmt: skip
        record = artefacts.begin(paths.tables / "drift.csv", parameters={})
        rows = [
            ["resnet50v2", role, method, pairing, metric, mean]
            for metric, factor in (("iou_top20", 1), ("emd", 0.01))
            for role, method, means in (
                ("auto_conv", "layercam", (0.25, 0.75, 0.125)),
                ("auto_conv", "gradcam_plus_plus", (np.nan,) * 3),
            )
            for pairing, mean in zip(
                ("finetune", "placebo", "ceiling"), np.multiply(means, factor), strict=True
            )
        ]
        columns = ["architecture", "role", "method", "pairing", "metric", "mean"]
        artefacts.write_table(record.path, pd.DataFrame(rows, columns=columns))
        record.complete(weights=weights)
        return paths

    return make


def test_summary_prints_performance_drift_and_where_to_look(finished):
    paths = finished()
    lines = [line.split() for line in digest.text(paths).splitlines()]
    assert lines[0] == ["Study", "mine,", "source", "weights:", "fractal"]
    areas = next(line for line in lines if line[:1] == ["resnet50v2"])
    assert [float(area) for area in areas[1:]] == [0.8, 0.925]
    head = next(line for line in lines if "finetune" in line and "placebo" in line)
    row = next(line for line in lines if "layercam" in line)
    found = dict(zip(head[-3:], row[-3:], strict=True))
    assert {name: float(x) for name, x in found.items()} == {
        "finetune": 0.25, "placebo": 0.75, "ceiling": 0.12,
    }  # fmt: skip
    blank = next(line for line in lines if "gradcam_plus_plus" in line)
    assert blank[-3:] == ["NaN"] * 3, "a cell of blank maps must not vanish"
    assert ["Tables", str(paths.tables)] in lines and ["Figures", str(paths.figures)] in lines
    assert "WARNING" not in digest.text(paths)


def test_summary_warns_of_a_study_without_a_source_task(finished):
    assert digest.text(finished("none")).splitlines()[1].startswith("WARNING: without a source")


def test_summary_of_an_unfinished_study_fails_in_one_line(finished, capsys):
    paths = finished()
    overview = ["overview", "mine", "--results", str(paths.results)]
    assert commands.main(overview) == 0 and capsys.readouterr().out.startswith("Study mine")
    artefacts.manifest_path(paths.tables / "drift.csv").unlink()
    assert commands.main(overview) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(
        f"error: {paths.tables / 'drift.csv'}: not"
    )
