"""The published results: the front page repeats them, and no film is among them."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lib.models.convergence import ending, epochs_without_gain
from lib.published import front, publish, recompute
from lib.report.digest import cost, manifests, provenance
from lib.report.phrases import comparisons
from lib.study import schema
from lib.study.artefacts import begin, read_table, write_text
from lib.study.paths import ROOT, StudyPaths

PUBLISHED = sorted(path for path in (ROOT / "results/reference").glob("*") if path.is_dir())


def test_the_front_page_repeats_the_published_numbers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert front.with_parts(text, ROOT / "results/reference/phantom") == text, "run `make pages`"
    assert len(text.splitlines()) <= 150
    prose = re.sub(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", "", text, flags=re.S)
    assert not re.findall(r"0\.\d\d|\d+ (?:%|of \d|min|films)", prose)  # no number by hand


def test_the_picture_of_the_front_page_shows_the_page_of_today():
    shown = front.shows(ROOT / "results/reference/report.png")
    assert shown == front.fingerprint(ROOT / "results/reference/phantom/report"), "run `make pages`"


def test_the_front_page_and_the_book_name_nothing_that_is_not_there():
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "book").glob("*.md")):
        text = file.read_text(encoding="utf-8")
        for address, anchor in re.findall(
            r"\]\((?!https?:|\.\./\.\./actions)([^)#]*)#?([^)]*)\)", text
        ):
            target = (file.parent / address).resolve() if address else file
            assert target.exists(), f"{file.name}: {address}"
            heads = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M) if anchor else []
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert not anchor or anchor in slugs, f"{file.name}: {address}#{anchor}"


def test_every_page_of_the_book_is_in_its_contents():
    index = (ROOT / "book/index.md").read_text(encoding="utf-8")
    for page in (ROOT / "book").glob("*.md"):
        assert page.stem == "index" or re.search(rf"^{page.stem}$", index, re.M), page.name


LATER = {
    *("decomposition", "partial_agreement", "supports", "transitions", "trajectory"),
    *("head_and_features", "faithfulness", "metric_agreement", "confidence", "consistency"),
}
"""Tables that the study has had since the published ones were made: they have all or none."""


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_a_published_study_is_whole(folder):
    origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    shown = origin["parameters"]["data"]
    expected = {"always"} | ({"lesions"} if shown["source"] == "phantom" else set())
    tables = {n for n, t in schema.TABLES.items() if t.published and t.when in expected}
    have = {file.stem for file in (folder / "tables").glob("*.csv")}
    asked = origin["parameters"]
    if not asked.get("controls"):
        tables -= {"head_and_features"}
    if not asked.get("attribution", {}).get("faithfulness_films"):
        tables -= {"faithfulness", "perturbed"}
    tables -= {"perturbed"} - have  # maps of changed films came after those of phantom
    for name in tables if have & LATER else tables - LATER:
        assert len(read_table(folder / f"tables/{name}.csv"))
    answers = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    # Version 1 of the rules read tables with other columns.
    earlier = (
        set()
        if answers["rules"].get("version", 1) > 1
        else {"crossover", "performance", "shortcut"}
    )
    for file in (folder / "tables").glob("*.csv"):
        if file.stem not in earlier:
            schema.check(file.stem, read_table(file))
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "make reproduce" in text and "## Verdicts" in text
    verdicts = answers["verdicts"]
    assert all(comparisons(verdict["sentence"]) in text for verdict in verdicts.values())
    assert "pairs" not in json.loads((folder / "audit.json").read_text())["duplicates"]
    # A folder has the name of its study, or of the one that its study is like.
    study = origin["parameters"]["study"]
    like = yaml.safe_load((ROOT / f"params/{study}.yml").read_text()).get("like")
    assert folder.name.partition("-")[0] in (study, like)
    assert "/" not in shown["source"]
    if shown["source"] != "phantom" and not shown["shareable"]:
        assert not [*(folder / "figures").glob("films*"), *(folder / "figures").glob("cases*")]


@pytest.mark.parametrize(
    "folder", [path for path in PUBLISHED if (path / "pairs").exists()], ids=lambda path: path.name
)
def test_published_verdicts_follow_from_the_published_pairs(folder):
    answers = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    told = {name: a | {"sentence": comparisons(a["sentence"])} for name, a in answers.items()}
    assert {v.name: v.as_json() for v in recompute.judge(folder)} == told


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_methods_drift_alike_at_the_pooled_map(folder):
    table = read_table(folder / "tables/drift.csv").query("role == 'post_activation'")
    table = table[table["metric"].isin(("iou_top20", "pearson", "centroid_displacement"))]
    wide = table.pivot_table(
        index=["architecture", "pairing", "metric"], columns="method", values="mean"
    )
    assert (wide["layercam"] - wide["gradcam_plus_plus"]).abs().max() < 0.005


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_endings_follow_from_the_published_curves_by_the_rule_of_their_time(folder):
    history, performance = (
        read_table(folder / f"tables/{name}.csv") for name in ("history", "performance")
    )
    parameters = json.loads((folder / "provenance.json").read_text())["parameters"]
    rules = {  # the first published studies did not record theirs
        "transfer": parameters.get("transfer", {"patience": 30, "tolerance": 0}),
        "finetune": parameters.get("finetune", {"patience": 3, "tolerance": 0}),
    }
    curves = dict(list(history.groupby(["architecture", "checkpoint"])))
    for (architecture, checkpoint), curve in curves.items():
        if not checkpoint.startswith("placebo"):
            rule = rules["transfer" if checkpoint.startswith("transfer") else "finetune"]
            losses, tolerance = curve["loss"].to_numpy(), rule["tolerance"]
            flat = [epochs_without_gain(losses[: n + 1], tolerance) for n in range(len(losses))]
            assert curve["converged"].astype(bool).tolist() == [n >= rule["patience"] for n in flat]
        told = ending(checkpoint, curve, curves[architecture, "transfer-s0"])
        rows = performance.query("architecture == @architecture and checkpoint == @checkpoint")
        assert set(rows["training"]) == {told}


@pytest.mark.parametrize("killed_at", [0, 1, None])
def test_an_interrupted_publication_leaves_the_old_or_the_new_folder(
    tmp_path, monkeypatch, killed_at
):
    published, new = tmp_path / "mine", tmp_path / ".partial-mine"
    write_text(published / "README.md", "old")
    write_text(new / "README.md", "new")
    plain, left = Path.rename, [killed_at]

    def rename(path, target):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] = None if left[0] is None else left[0] - 1
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    if killed_at in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            publish._replace(published, new)
    else:
        publish._replace(published, new)
    left[0] = None
    publish._recover(published)
    told = (published / "README.md").read_text(encoding="utf-8")
    assert told == ("old" if killed_at in (0, 1) else "new")
    assert new.exists() == (killed_at in (0, 1))  # and the next publication makes it anew


PLACE = ["architecture", "role", "method", "pairing"]


@pytest.mark.parametrize(("lines", "columns", "rows", "told"), [
    (publish.drift_lines, [*PLACE, "metric", "mean", "n", "blank"],
     [["a", "r", "m", "finetune", "iou_top20", 0.25, 8, 2],
      ["a", "r", "m", "placebo", "iou_top20", 1.0, 10, 0],
      ["a", "r", "m", "finetune", "emd", 9.0, 8, 2],
      ["b", "r", "m", "finetune", "iou_top20", float("nan"), 0, 10]],
     ["| architecture | role | method | placebo | finetune | n | blank |",
      "| a | r | m | 1.00 | 0.25 | 8 | 2 |", "| b | r | m | – | – | 0 | 10 |"]),
    (publish.remedy_drift_lines, [*PLACE, "before", "after"],
     [["a", "r", "m", "finetune", 0.25, 0.5], ["a", "r", "m", "ceiling", 0.125, float("nan")],
      ["b", "r", "m", "finetune", 0.75, 0.7]],
     ["| architecture | role | method | finetune | ceiling |",
      "| a | r | m | 0.25 → 0.50 | 0.12 → – |", "| b | r | m | 0.75 → 0.70 | – |"]),
    (publish.correction_lines, ["measure", "finding"],
     [["pearson", "cannot tell"], ["emd", "prefers"], ["pearson", "prefers"],
      ["pearson", "cannot tell"]],
     ["| measure | cannot tell | prefers |", "| pearson | 2 | 1 |", "| emd | 0 | 1 |"]),
], ids=["drift", "remedies", "correction"])  # fmt: skip
def test_lines_in_markdown_by_hand(lines, columns, rows, told):
    head, rule, *body = publish.markdown(lines(pd.DataFrame(rows, columns=columns))).splitlines()
    assert [head, *body] == told
    assert set(rule) == set("| -") and rule.count("|") == head.count("|")


def test_checkpoints_that_the_tables_do_not_use_are_not_counted(tmp_path):
    paths = StudyPaths(tmp_path, "trial")
    for seed in (0, 1):
        for file in (
            paths.checkpoint("a", f"finetune-s{seed}"),
            paths.maps("a", f"finetune-s{seed}"),
        ):
            record = begin(file, parameters={})
            write_text(file, "content")
            record.complete()
    everything = {f"{kind}/a/finetune-s{seed}.{end}" for seed in (0, 1)
                  for kind, end in (("models", "keras"), ("maps", "npz"))}  # fmt: skip
    assert set(manifests(paths)) == everything
    drift = paths.tables / "drift.csv"
    record = begin(drift, parameters={"seeds": [0]}, inputs=[paths.maps("a", "finetune-s0")])
    write_text(drift, "mean")
    record.complete()
    used = {"maps/a/finetune-s0.npz", "models/a/finetune-s0.keras", "tables/drift.csv"}
    complete = manifests(paths)
    assert set(complete) == used == set(provenance(paths, complete)["seconds"])


def test_missing_marks_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(front, "answer", str)
    with pytest.raises(ValueError, match="expected the marks"):
        front.with_parts("no marks here", Path(tmp_path))


def test_the_cost_counts_every_checkpoint_once_and_a_notebook_of_maps_once():
    table = cost(
        {
            "data/manifest.csv": 60.0, "maps/b/finetune-s0.npz": 300.0,
            "maps/b/finetune-s1.npz": 240.0, "models/b/finetune-s0.keras": 120.0,
            "models/b/finetune-s1.keras": 240.0, "models/b/placebo-s0.keras": 30.0,
            "models/b/transfer-s0.keras": 60.0, "tables/drift.csv": 600.0,
        }
    )  # fmt: skip
    assert table.loc["b"].to_dict() == {
        "transfer": 1, "finetune": 3, "placebo": 0.5, "all maps": 5, "total": 12.5,
        "checkpoints": 4,
    }  # fmt: skip


def test_without_the_default_study_the_front_page_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(front.shelf, "REFERENCE", tmp_path)
    monkeypatch.setattr(front.shelf, "studies", lambda: [])
    monkeypatch.setattr(front.shelf, "compare", lambda: None)
    before = (ROOT / "README.md").read_bytes()
    (left,) = front.renew()
    assert left.startswith("README.md stays as it is") and str(tmp_path / "phantom") in left
    assert (ROOT / "README.md").read_bytes() == before
