"""The audit of two checkpoints that this project did not build: known answers and refusals."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from browser import PHONE, count, differs, launched, picture, slide, visits
from material import encoded, film
from tiny_models import body, classifier, films, sequential

from lib import __main__ as commands
from lib.attribution.maps import MapSet, largest_difference
from lib.checkpoint_audit import classes, findings, sentences
from lib.checkpoint_audit.networks import versions as audited_versions
from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.checkpoint_audit.networks.preprocessing import PreprocessingUnknown, affine
from lib.drift import pairings, summaries
from lib.evidence import faithfulness
from lib.figures import drift as drift_plots
from lib.figures import style
from lib.study.artefacts import manifest_path, read_table, require, write_json
from lib.study.paths import ROOT, StudyPaths

pytestmark = pytest.mark.network

METHODS = ("layercam", "gradcam_plus_plus")


def report(name):
    return None


def written(model, path):
    model.save(path)
    return path


@pytest.fixture
def save(tmp_path):
    return lambda model, name: written(model, tmp_path / f"{name}.keras")


def explained(before, after, save, **options):
    pair = audited_versions.open_versions(save(before, "before"), save(after, "after"))
    flats = pair.preprocessed("none")
    ids = [f"film{number:02d}" for number in range(12)]
    return pair, explained_sets(flats, films(12), ids, methods=METHODS, batch_size=5, **options)


def explained_sets(flats, data, ids, **options):
    """Maps of two versions by the names that their comparison has."""
    before, after = audited_versions.explain_versions(flats, data, ids, report=report, **options)
    return {
        "before": before.own, "before_again": before.again, "after": after.own,
        "randomised": before.randomised,
    }  # fmt: skip


def compared(pair, sets, folder):
    own = {pair.name: np.ones(12, bool)}
    single, _, _ = summaries.drift_tables(
        {pair.name: sets}, pairings.audit_pairings(), [f"p{n}" for n in range(12)], own,
        seed=1, pairs_file=folder / "pairs.csv",
    )  # fmt: skip
    return summaries.over_seeds(single)


@pytest.mark.parametrize("nested", [False, True])
def test_identical_checkpoints_do_not_drift_at_all(save, tmp_path, nested):
    model = classifier(nested=nested, end="softmax")
    pair, sets = explained(model, model, save)
    drift = compared(pair, sets, tmp_path).query("pairing in ('change', 'explainer') and n > 0")
    assert len(drift)
    for metric, mean in drift[["metric", "mean"]].itertuples(index=False):
        same = metric.startswith("iou") or metric in ("soft_iou", "pearson", "spearman", "ssim")
        assert mean == pytest.approx(1.0 if same else 0.0, abs=1e-9), metric
    for key, stack in sets["before"].maps.items():
        np.testing.assert_array_equal(stack, sets["after"].maps[key])
    randomised = sets["randomised"].maps["post_activation", "layercam"]
    assert not np.allclose(randomised, sets["before"].maps["post_activation", "layercam"])


def test_layercam_is_gradcam_plus_plus_where_a_linear_head_pools_and_only_there(save):
    _, sets = explained(classifier(), classifier(seed=2), save)
    for name in ("before", "after"):
        assert largest_difference(sets[name], "post_activation", METHODS) < 1e-5
    _, sets = explained(classifier(head="flatten"), classifier(head="flatten", seed=2), save)
    assert largest_difference(sets["before"], "post_activation", METHODS) > 1e-3


def test_maps_do_not_depend_on_how_the_model_was_written(save):
    plain = classifier(), classifier(seed=2)
    other = classifier(nested=True, end="softmax", dropout=0.4), classifier(end="layer")
    for one, two in zip(plain, other, strict=True):
        two.set_weights(one.get_weights())
    plain, other = (explained(*pair, save)[1] for pair in (plain, other))
    for name, maps in plain.items():
        if name != "randomised":
            for key, stack in maps.maps.items():
                np.testing.assert_allclose(
                    stack, other[name].maps[key], rtol=1e-3, atol=1e-5 * stack.max()
                )


def test_after_has_its_own_weights_and_before_keeps_its(save):
    before, after = classifier(), classifier(seed=2)
    pair, sets = explained(before, after, save)
    x = np.repeat(films(12).images[..., None], 3, -1).astype(np.float32)
    np.testing.assert_allclose(sets["before"].logits, before(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sets["after"].logits, after(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pair.plain[0].graph(x), before(x), rtol=1e-4, atol=1e-5)


def test_a_quantised_checkpoint_is_audited_in_a_graph_of_its_own(save):
    before, after = classifier(end="softmax"), classifier(end="softmax")
    after.quantize("int8")
    _, sets = explained(before, after, save)
    assert not np.array_equal(sets["before"].logits, sets["after"].logits)
    np.testing.assert_allclose(sets["before"].logits, sets["after"].logits, atol=0.1)
    a, b = (sets[name].maps["post_activation", "layercam"] for name in ("before", "after"))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99


def test_one_output_has_evidence_for_both_classes(save):
    model = classifier(classes=1, end="sigmoid")
    pair = audited_versions.open_versions(save(model, "a"), save(model, "b"))
    data = films(6, classes=2)
    sets = explained_sets(pair.plain, data, list("abcdef"), methods=["gradcam"], batch_size=3)
    assert sets["before"].logits.shape == (6, 2)
    shown = sets["before"].maps["post_activation", "gradcam"].max(axis=(1, 2)) > 0
    assert set(data.labels[shown]) <= {0, 1} and shown.any()


def test_models_of_other_films_are_refused(save):
    one, grey = save(classifier(), "one"), save(classifier(channels=1), "grey")
    with pytest.raises(CheckpointRefused, match=r"BEFORE takes films of \(32, 32, 3\), AFTER of"):
        audited_versions.open_versions(one, grey)


def test_preprocessing_is_needed_and_the_refusal_says_what_was_measured(save):
    pair = audited_versions.open_versions(
        save(classifier(inside=False), "a"), save(classifier(inside=False, seed=2), "b")
    )
    with pytest.raises(
        PreprocessingUnknown, match=r"PREPROCESSING=none\|unit\|tf.*on 12 films with each: "
    ) as refusal:
        audited_versions.choose_preprocessing(pair, films(12), "")
    assert all(f"{name} 0." in str(refusal.value) for name in ("none", "unit", "tf", "caffe"))
    assert audited_versions.choose_preprocessing(pair, films(12), "xception") == ("xception", [])
    inside = audited_versions.open_versions(save(classifier(), "c"), save(classifier(seed=2), "d"))
    assert audited_versions.choose_preprocessing(inside, films(12), "") == (
        "none",
        ["Rescaling 'unit'"],
    )


def test_a_way_of_preprocessing_that_does_not_exist_or_fit_is_refused():
    with pytest.raises(ValueError, match=r"Did you mean mobilenet_v2\?"):
        affine("mobilenetv2", channels=3)
    with pytest.raises(ValueError, match="statistics of three colours"):
        affine("torch", channels=1)
    np.testing.assert_allclose(affine("tf", channels=1), ([1 / 127.5], [-1]))
    np.testing.assert_allclose(affine("efficientnet", channels=3), ([1] * 3, [0] * 3))


def test_probabilities_without_a_softmax_in_sight_are_refused(save):
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(body(inputs))
    heads = [keras.layers.Dense(3, activation="softmax")(pooled) for _ in range(2)]
    model = keras.Model(inputs, keras.layers.Average()(heads))
    with pytest.raises(ValueError, match="the outputs are probabilities"):
        explained(model, model, save)


def test_findings_say_what_is_wrong(save, tmp_path):
    pair, sets = explained(classifier(), classifier(), save)
    drift = compared(pair, sets, tmp_path)
    labels = np.arange(90) % 3
    wrong = classes.check_mapping(np.eye(3)[(labels + 1) % 3], labels, classes=["x", "y", "z"])
    found = findings.findings(
        sets, {"before": wrong}, drift, measured=measures_of(accuracy_loss=(0.0, -0.1, 0.1)),
        checkpoints=opened(), common=np.ones(12, bool),
    )  # fmt: skip
    assert found[0]["severity"] == "serious" and 'CLASSES="z,x,y"' in found[0]["text"]
    texts = " ".join(finding["text"] for finding in found)
    assert "Only 12 of 12 films" in texts and "exactly the same logits" in texts
    assert "explained twice" not in texts and "PREPROCESSING" not in texts

    noise = np.repeat(np.linspace(-20, 20, 30), 3)  # the same for a film of each class
    guessed = np.stack([3.0 * (labels == 0), 3.0 * (labels == 1), noise], axis=1)
    blind = classes.check_mapping(guessed, labels, classes=["x", "y", "z"])
    assert not blind.permuted and blind.p_chance < 0.05
    assert list(blind.at_chance) == ["z"] and blind.at_chance["z"] == pytest.approx(0.5, abs=0.05)
    found = findings.findings(
        sets, {"after": blind}, drift, common=np.ones(12, bool), checkpoints=opened("unit"),
        measured=measures_of(accuracy_loss=(0.4, 0.3, 0.5), class_retained_evidence=(1, 1, 1)),
    )  # fmt: skip
    first, second = (finding["text"] for finding in found if finding["severity"] == "serious")
    assert re.search(r"after tells z \(AUC 0\.5\d\) from .* no better than by chance", first)
    assert "accuracy of after collapses on these films: it is lower" in second
    assert "0.40 (0.30 to 0.50)" in second
    texts = " ".join(finding["text"] for finding in found if finding["severity"] == "warning")
    assert (
        "PREPROCESSING=unit comes before what the models do themselves (Rescaling 'unit')" in texts
    )
    assert "No film of ill is classified correctly by both" in texts and "of tb" not in texts


def opened(preprocessing="none"):
    """The table of checkpoints as far as findings read it."""
    return pd.DataFrame({"inside": ["Rescaling 'unit'"] * 2, "preprocessing": preprocessing})


def measures_of(**intervals):
    """A table of measures, those by class without a film of the class "ill"."""
    rows = [
        [name, label, *found, label != "ill"]
        for name, found in intervals.items()
        for label in (("ill", "tb") if name.startswith("class_") else ("",))
    ]
    return pd.DataFrame(rows, columns=["measure", "label", "estimate", "low", "high", "films"])


def test_figures_take_an_architecture_that_is_not_of_the_study(save, tmp_path):
    kept = [(known, dict(known)) for known in (style.ARCHITECTURE, style.PAIRING)]
    try:
        pair, sets = explained(classifier(), classifier(seed=2), save)
        style.introduce(pair.name)
        drift = compared(pair, sets, tmp_path)
        figure = drift_plots.controls(drift, between=("explainer", "ceiling"), title="Which?")
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts[-1] == "from explainer to ceiling" and "before → after" in texts
        assert figure.axes[0].get_yticklabels()[0].get_text() == "stranger"
    finally:
        for known, before in kept:
            known.clear()
            known.update(before)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """An audit made by the command, and one that the command refused."""
    root = tmp_path_factory.mktemp("audited")
    for number, label in enumerate(("benign", "ill", "unclear")):
        (root / "films" / label).mkdir(parents=True)
        for copy in range(4):
            file = root / "films" / label / f"{copy}.png"
            file.write_bytes(encoded(film(10 * number + copy)))
    for name, seed in {"old": 1, "new": 2}.items():
        made = classifier(nested=True, end="softmax", channels=1, seed=seed, side=40)
        written(made, root / f"{name}.keras")
    written(sequential(), root / "other.keras")
    (root / "rule.yml").write_text("accuracy_loss_at_most: 1.0")

    def audit(after, *words):
        return subprocess.run(
            ["make", "--no-print-directory", "audit", f"BEFORE={root}/old.keras",
             f"AFTER={root}/{after}.keras", f"DATA={root}/films", f"RESULTS={root}/out",
             f"PY={sys.executable}", "STAMP=", *words],
            cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    done, refused = audit("new", "SET=data.shareable=true", f"RULE={root}/rule.yml"), audit("other")
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(
        done=done, refused=refused, paths=StudyPaths(root / "out", "audit-old-new")
    )


@pytest.mark.study
def test_the_whole_audit_from_the_command(audited):
    paths, told = audited.paths, audited.done.stdout
    assert "films are classified correctly by both" in told and str(paths.root) in told
    assert told.rstrip().endswith(str(paths.report))
    for file in ("tables/drift.csv", "data/manifest.csv", "maps/stranger/after.npz"):
        require(paths.root / file)
    drift = read_table(paths.tables / "drift.csv").query("pairing == 'explainer' and n > 0")
    assert (drift.query("metric == 'iou_top20'")["mean"] == 1).all()
    assert paths.notebook("A4_audit_pair").exists()
    assert (paths.figures / "controls.svg").exists()
    told = json.loads((paths.root / "rule.json").read_text())
    assert told["verdict"] == "passed" and (paths.root / "rule.junit.xml").exists()
    assert audited.refused.returncode != 0
    assert "error: A4_audit_maps: CheckpointRefused" in audited.refused.stderr


@pytest.mark.study
def test_the_same_audit_by_way_of_maps_has_the_same_numbers(audited, tmp_path):
    paths, files = audited.paths, {}
    for name in ("before", "after"):
        sets = {"maps": name} | (
            {"again": "before_again", "randomised": "randomised"} if name == "before" else {}
        )
        loaded = {kind: MapSet.load(paths.maps("stranger", of)) for kind, of in sets.items()}
        own = loaded["maps"]
        stacks = {
            "/".join((kind, *cell)): stack
            for kind, maps in loaded.items()
            for cell, stack in maps.maps.items()
        }
        files[name] = tmp_path / f"{name}.npz"
        np.savez(files[name], image_id=own.image_id, logits=own.logits, **stacks)
    words = ["--maps-before", files["before"], "--maps-after", files["after"]]
    words += ["--data", paths.root.parent.parent / "films", "--results", tmp_path / "out"]
    assert commands.main(["audit", *map(str, words)]) == 0
    for table in ("drift", "retained", "measured", "performance", "support", "pairs"):
        one, other = (
            read_table(folder / f"tables/{table}.csv").drop(columns="architecture", errors="ignore")
            for folder in (paths.root, tmp_path / "out/audit-before-after")
        )
        if table == "pairs":  # the layout has no logits of permuted weights, so no outcome by them
            one, other = (
                frame.assign(stratum=frame["stratum"].where(frame["pairing"] != "randomised"))
                for frame in (one, other)
            )
        pd.testing.assert_frame_equal(one, other, rtol=1e-5)


@pytest.mark.study
def test_the_pages_of_an_audit_work_in_a_browser(audited):
    with launched() as chromium, visits(chromium) as visit:
        first = visit(audited.paths.report.parent, "index.html")
        assert first.locator("h1").text_content() == "Did the evidence of this model move?"
        first.locator('a[href^="cases.html"]').first.click()
        first.wait_for_selector("body[data-ready=true]")
        page = visit(audited.paths.report.parent)
        assert count(page) == 12
        assert "before → after" in page.locator("#pair").text_content()
        assert page.locator("#role option").count() > 1
        page.select_option("#role", index=1)
        slide(page, "fade", 0)
        before = picture(page, "fade")
        slide(page, "fade", 100)
        assert differs(before, picture(page, "fade"))
        phone = visit(audited.paths.report.parent, "index.html", size=PHONE)
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def shown_text(page):
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.read_text())).split())


@pytest.mark.study
def test_the_report_repeats_the_audit(audited):
    paths = audited.paths
    text, folder = shown_text(paths.report), paths.report.parent
    require(paths.report)
    drift, support = (read_table(paths.tables / f"{n}.csv") for n in ("drift", "support"))
    cell = ("post_activation", "layercam")
    assert " ".join(sentences.overlap_sentence(drift, support, cell).split()) in text
    own = drift.query("metric == 'iou_top20' and pairing == 'ceiling'").iloc[-2]["mean"]
    assert f"{own:.3f}" in text
    faithful = read_table(paths.tables / "faithfulness.csv")
    assert len(faithful) == 2 * drift[["role", "method"]].drop_duplicates().shape[0]
    assert " ".join(sentences.faithfulness_sentence(faithful).split()) in text
    marked = faithfulness.unfaithful(faithful)
    table = paths.report.read_text().split('data-name="drift"')[1].split("</table>")[0]
    assert table.count(f">{faithfulness.MARK}<") == len(marked)
    assert ("not shown to be more faithful than random ones" in text) is bool(marked)
    common = f"Only {support['common'].sum()} of 12 films are classified correctly by both"
    first = text[: text.index("By the rule that was stated beforehand: passed.")]
    for finding in json.loads((paths.root / "findings.json").read_text())["findings"]:
        assert (finding["text"] in first) is (finding["severity"] == "serious")
    for words in (
        "Did the evidence of this model move?", "Audit of old.keras → new.keras", "stranger",
        "Rescaling 'unit'", "All layers that could be explained", common,
    ):  # fmt: skip
        assert words in text, words
    for fine_tuned in ("fine-tuning", "placebo", "test films", "seeds"):
        assert fine_tuned not in text, fine_tuned
    assert len(list((folder / "cases/films").glob("*.jpg"))) == 12
    assert 'href="notebooks/A4_audit_pair.html"' in paths.report.read_text()
    assert (folder / "notebooks/A4_audit_pair.html").exists()
    assert (folder / "figures/answer.png").exists() and (folder / "cases.html").exists()
    index = (folder / "cases/index.js").read_text()
    assert '["change","before","after","before \\u2192 after",' in index


@pytest.mark.study
def test_the_report_withholds_what_is_not_shareable(audited, tmp_path):
    paths = StudyPaths(tmp_path, audited.paths.study)
    shutil.copytree(audited.paths.root, paths.root)
    file = manifest_path(paths.tables / "drift.csv")
    found = json.loads(file.read_text())
    found["parameters"]["data"]["shareable"] = False
    found["parameters"]["rule"] = {"class_accuracy_at_least": 1.0}
    write_json(file, found)
    names = read_table(paths.manifest)["image_id"]
    assert commands.main(["audit-report", str(paths.root)]) == 1
    folder = paths.report.parent
    found["parameters"]["rule"] = {}
    write_json(file, found)
    assert commands.main(["audit-report", str(paths.root)]) == 0
    assert not (paths.root / "rule.json").exists()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".js", ".png", ".json"}
    for path in (path for path in files if path.suffix != ".png"):
        content = path.read_text()
        assert not [name for name in names if name in content], path
        assert str(audited.paths.root) not in content and str(paths.root) not in content, path
    page = paths.report.read_text()
    assert "<code>A4_audit_pair.ipynb</code>" in page and 'href="../' not in page
