"""The report: what it says is in the tables, names are text, and no film leaves its study."""

import base64
import gzip
import html
import json
import re
import shutil
import warnings
from html.parser import HTMLParser
from urllib.parse import unquote

import cv2
import nbformat
import numpy as np
import pandas as pd
import pytest
import report_material as made

from lib.attribution.maps import MapSet
from lib.published import shelf
from lib.published.shelf import SHELF
from lib.report import browser, phrases, telling, words
from lib.report import page as report
from lib.report.notebooks import notebook_pages
from lib.report.tables import shown
from lib.study.artefacts import manifest_path, read_table
from lib.study.errors import ArtefactError
from lib.study.paths import ROOT, StudyPaths


def write(paths, *, shareable=True, **options):
    folder = paths.report.parent
    return folder, report.write(paths, folder, classes=made.CLASSES, shareable=shareable, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    paths = made.make_study(tmp_path_factory.mktemp("results"))
    notebook = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output(
        "display_data",
        {"text/html": "<style>.dropped {}</style><b>kept</b><script>alert(5)</script>"},
    )
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# One <img src=x onerror=alert(6)>"),
        nbformat.v4.new_markdown_cell(
            "[Five](05_drift.ipynb), [two](02_transfer.ipynb#x), [read](../README.md)"
        ),
        nbformat.v4.new_code_cell("1 + 1", outputs=[output], execution_count=1),
    ]
    for name in ("01_prepare_data", "02_transfer-a-s0", "05_drift", "07_report"):
        file = paths.notebook(name)
        file.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, file)
    for figure in ("controls", "answer", "unknown"):
        path = paths.figures / f"drift/{figure}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((2, 2)))
        assert path.exists()
    return paths


@pytest.fixture(scope="module")
def shared(study):
    return write(study)


class Elements(HTMLParser):
    """Names and attributes of the elements of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def page(folder, name="index.html"):
    return Elements((folder / name).read_text(encoding="utf-8"))


def shard(file):
    """JSON value that a shard hands over."""
    return json.loads(re.fullmatch(r'receiveShard\("[\w-]+",(.*)\);\n', file.read_text())[1])


def unpacked(text, kind):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def broken(folder, *, shelf=False):
    """What the pages of a folder name, by ``src`` or ``href``, and the folder does not have.

    With `shelf` they may also name the page that puts all published studies side by side.
    """
    missing = []
    for file in folder.rglob("*.html"):
        for _, attributes in page(file.parent, file.name).found:
            for target in (attributes.get(key) for key in ("src", "href")):
                if target is None or target.startswith(("data:", "http:", "https:")):
                    continue
                address, _, anchor = target.partition("#")
                path = (file.parent / unquote(address)).resolve() if address else file.resolve()
                if shelf and target == SHELF and path.is_file():
                    continue
                if not (path.is_file() and path.is_relative_to(folder.resolve())):
                    missing.append((file.name, target))
                elif anchor and path.name != "cases.html":  # whose anchors are views
                    anchors = {a.get("id") for _, a in page(path.parent, path.name).found}
                    missing += [] if anchor in anchors else [(file.name, target)]
    return missing


def test_a_copied_report_has_all_that_it_names(shared, tmp_path):
    shutil.copytree(shared[0], tmp_path / "elsewhere")
    assert broken(tmp_path / "elsewhere") == []
    pictures = [a["src"] for tag, a in page(tmp_path / "elsewhere").found if tag == "img"]
    assert pictures == ["figures/moved.png", "figures/case.png", "figures/controls.png"]
    (tmp_path / "elsewhere/figures/moved.png").unlink()
    assert set(broken(tmp_path / "elsewhere")) == {("index.html", "figures/moved.png")}


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "results/reference").glob("*/report")), ids=lambda p: p.parent.name
)
def test_a_published_report_has_all_that_it_names(folder):
    assert broken(folder, shelf=True) == []
    assert {*broken(folder)} == {("index.html", SHELF)}  # one page outside: its neighbours


def test_every_file_is_named_and_there(shared):
    folder, files = shared
    assert files[0] == folder / "index.html"
    assert sorted(files) == sorted(p for p in folder.rglob("*") if p.is_file())


def test_names_are_text_and_never_markup(shared):
    folder, files = shared
    for file in (file for file in files if file.suffix == ".html"):
        found = page(file.parent, file.name).found
        scripts = [attributes for tag, attributes in found if tag == "script"]
        assert all(set(script) <= {"src", "defer"} for script in scripts)
        assert {script["src"] for script in scripts} <= {"report.js", *report.CASES}
        assert not [t for t, attributes in found if any(a.startswith("on") for a in attributes)]
        assert not [t for t, attributes in found if t not in ("line",) and "style" in attributes]
        assert not [a for tag, a in found if tag == "img" and a.get("src") == "x"]
    text = page(folder).text
    for name in made.CLASSES:
        assert name in text
    assert "class <script>alert(3)</script> is rare" in text
    assert "Is <b>this</b> bold?" in text
    for file in (file for file in files if file.suffix == ".js" and file.parent.name == "cases"):
        content = file.read_text()
        assert content.isascii()
        assert set(shard(file))


def test_pages_forbid_the_network_and_name_nothing_outside(shared):
    for file in (file for file in shared[1] if file.suffix == ".html"):
        elements = page(file.parent, file.name).found
        policies = [a["content"] for t, a in elements if a.get("http-equiv")]
        assert len(policies) == 1 and policies[0].startswith("default-src 'none'; ")
        assert "unsafe" not in policies[0] and "http" not in policies[0]
        for _, attributes in elements:
            for key in ("src", "href"):
                target = attributes.get(key, "")
                assert "//" not in target
                if target and not target.startswith(("#", "data:")):
                    assert (file.parent / target.split("#")[0]).exists(), target


def test_notebooks_come_sanitised_and_linked_both_ways(shared):
    folder, _ = shared
    first, second = (
        folder / f"notebooks/{n}.html" for n in ("01_prepare_data", "02_transfer-a-s0")
    )
    text = first.read_text()
    assert "<b>kept</b>" in text and re.search(r"<h1[^>]*>One", text)
    assert "&lt;script&gt;alert(5)" in text and "<script" not in text
    assert "dropped" not in text and "&lt;p&gt;" not in text
    links = [a.get("href", "") for t, a in page(first.parent, first.name).found if t == "a"]
    assert "05_drift.html" in links and "../index.html#notebooks" in links
    assert links.count("02_transfer-a-s0.html") == 2 and not [a for a in links if "README" in a]
    links = [a.get("href", "") for t, a in page(second.parent, second.name).found if t == "a"]
    assert "01_prepare_data.html" in links
    assert not (folder / "notebooks/07_report.html").exists()


def test_a_rerun_of_a_notebook_has_the_same_page(tmp_path):
    """Its cells have other, random ids."""
    made_pages = []
    for run in ("first", "second"):
        paths = StudyPaths(tmp_path / run, "s")
        paths.notebook("05_drift").parent.mkdir(parents=True)
        cells = [nbformat.v4.new_markdown_cell("# Five"), nbformat.v4.new_code_cell("1 + 1")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), paths.notebook("05_drift"))
        template = report.environment().get_template("notebook.html.j2")
        (file,), _ = notebook_pages(paths, tmp_path / run, template)
        made_pages.append(file.read_text(encoding="utf-8"))
    assert made_pages[0] == made_pages[1] and "Five" in made_pages[0]


def test_the_answer_repeats_the_tables(study, shared):
    drift = read_table(study.tables / "drift.csv").query("metric == 'iou_top20'")
    text = " ".join(page(shared[0]).text.split())
    assert "from 0.700 to 0.800 (DenseNet201) and 0.700 to 0.800 (ResNet50V2)" in text
    for pairing in ("finetune", "placebo", "ceiling"):
        means = drift[drift["pairing"] == pairing]["mean"]
        assert f"{means.min():.2f} to {means.max():.2f}" in text, pairing
    assert "On the 3 of 12 films that every checkpoint of every network" in text
    assert "H3 is supported and H1 is inconclusive" in text
    assert "0.125 to 0.375" in text and "0.250" in text
    assert "balanced accuracy of 0.43" in text


def test_the_first_sentences_say_the_answer_the_films_and_how_far_to_trust_it(shared):
    first = [re.sub(r"\s+", " ", text) for text in re.findall(
        r"<p>(.*?)</p>", (shared[0] / "index.html").read_text().split('class="answer"')[1], re.S
    )]  # fmt: skip
    assert first[0] == (
        "<strong>Inconclusive: fine-tuning moved the maps 75 % (DenseNet201) of the way to maps of "
        "other patients’ films.</strong>"
    )
    assert first[1].startswith("Training the head alone is 0 % of that way. Whether this is more")
    assert first[2] == (
        "The 12 test films are radiographs of patients; the networks had learnt from drawn "
        "fractals before."
    )
    assert "fine-tuned once" in first[3] and "3 of 12 films are compared" in first[3]
    assert "balanced accuracy of 0.43, the fine-tuned networks 0.62" in first[3]
    strip = re.search(r'<ul class="strip">(.*?)</ul>', (shared[0] / "index.html").read_text(), re.S)
    assert "H1" not in strip[1] and html.escape("Is <b>this</b> bold?") in strip[1]


def test_the_case_of_the_first_page_is_the_one_that_overlaps_least(study, shared, monkeypatch):
    seen = {}
    monkeypatch.setattr(telling.appendix, "strip", lambda maps, **rest: seen.update(maps, **rest))
    monkeypatch.setattr(telling.style, "save", lambda *_: None)
    monkeypatch.setattr(telling.Path, "unlink", lambda *_: None)
    told = telling.draw(shared[0] / "cases", shared[0] / "figures/unused")
    pairs = read_table(study.tables / "pairs.csv").query(
        "common and pairing == 'finetune' and architecture == 'densenet201' and "
        "role == 'post_activation' and method == 'layercam'"
    )
    least = pairs.loc[pairs["iou_top20"].idxmin()]
    assert f"({least['iou_top20']:.2f})" in told
    place = made.ids(12).index(least["image_id"])
    for caption, name in (("Before", "transfer-s0"), ("After", "finetune-s0")):
        maps = MapSet.load(study.maps("densenet201", name))
        raw = maps.maps["post_activation", "layercam"][place]
        assert np.abs(seen[caption] / 255 - raw / raw.max()).max() <= 0.5 / 255 + 1e-6
    assert seen["film"].shape == (64, 64)


@pytest.mark.parametrize("verdict, word", [
    ("supported", "Yes"), ("not supported", "No"), ("inconclusive", "Inconclusive"),
    ("not evaluated", "Not evaluated"),
])  # fmt: skip
def test_the_first_verdict_decides_the_first_word(verdict, word):
    first, others = {"verdict": verdict}, {"H2": {"verdict": "supported"}}
    assert words.short({"H1": first} | others) == word == words.short({"H9": first})
    told = words.headline({}, {"H1": {"verdict": verdict}})
    assert told == f"{word}: how far fine-tuning moved the maps could not be estimated."
    assert words.short(None) == "Inconclusive"


def test_an_inconclusive_first_question_says_in_how_many_comparisons_it_is_shown():
    keys = ("architecture", "method", "role", "statement", "shown", "refuted", "undefined")
    rows = [
        ("densenet201", "layercam", "stage4", "drift", True, False, ""),
        ("densenet201", "layercam", "stage4", "agreement", True, False, ""),
        ("resnet50v2", "layercam", "stage4", "drift", False, False, ""),
        ("inceptionv3", "layercam", "stage4", "drift", False, False, "no map"),
    ]
    moved = [["densenet201", "layercam", "post_activation", "way_to_unrelated", 0.07, 0.05, 0.09]]
    names = ["architecture", "method", "role", "part", "estimate", "low", "high"]
    tables = {"decomposition": pd.DataFrame(moved, columns=names)}

    def told(rows):
        family = [dict(zip(keys, row, strict=True)) for row in rows]
        verdicts = {"H1": {"verdict": "inconclusive", "family": family}}
        return f"{words.short(verdicts)}: {words.moved_sentences(tables, verdicts)}"

    assert told(rows).startswith("In part: ") and "In 1 of 2 comparisons this is" in told(rows)
    refuted = [*rows, ("resnet50v2", "layercam", "stage4", "agreement", False, True, "")]
    for none in (refuted, rows[2:]):
        assert told(none).startswith("Inconclusive: ") and "comparisons" not in told(none)
        assert "cannot tell" in told(none)


def test_titles_tell_the_published_studies_apart():
    titles = [words.title(shelf.read(folder, "provenance")["parameters"]) for folder in
              shelf.studies()]  # fmt: skip
    assert len(set(titles)) == len(titles) >= 4


def test_a_published_headline_is_short_and_verdicts_count_comparisons():
    for folder in shelf.studies():
        assert len(shelf.first(folder)[0].split()) <= 35
        text = html.unescape((folder / "report/index.html").read_text(encoding="utf-8"))
        assert not re.search(r"(of \d+|all \d+|no) cells?\b", text)
    told = "in 2 of 6 cells it is shown, and no cell refutes it: the top 20 % of cells"
    assert phrases.comparisons(told) == (
        "in 2 of 6 comparisons it is shown, and no comparison refutes it: the top 20 % of cells"
    )


@pytest.mark.parametrize("folder", shelf.studies(), ids=lambda path: path.name)
def test_the_published_pages_are_those_of_the_templates(folder, tmp_path):
    copy = tmp_path / "reference" / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("films"))
    film = folder / "report/cases/films"
    if film.exists():
        (copy / "report/cases/films").symlink_to(film)
    shelf.refresh(copy)
    for page_ in (folder / "report").glob("*.*"):
        assert (copy / "report" / page_.name).read_bytes() == page_.read_bytes(), (
            f"{page_.name} is older than its template or tables: run `make pages`"
        )


def test_the_studies_stand_side_by_side_as_published(tmp_path):
    text = (shelf.REFERENCE / "index.html").read_text(encoding="utf-8")
    for folder in shelf.studies():
        (tmp_path / folder.name).symlink_to(folder)
        assert all(sentence in html.unescape(text) for sentence in shelf.first(folder))
    assert shelf.compare(tmp_path).read_text(encoding="utf-8") == text, "run `make pages`"
    missing = [
        a["href"] for tag, a in Elements(text).found
        if tag == "a" and not (shelf.REFERENCE / a["href"]).is_file()
    ]  # fmt: skip
    assert not missing


def test_shown_tables_hold_the_numbers_of_the_study(study, shared):
    content = (shared[0] / "index.html").read_text()
    table = re.search(r'<table class="data" data-name="drift">(.*?)</table>', content, re.S)[1]
    heads = re.findall(r'data-column="(.*?)"', table)
    rows = [
        [html.unescape(value) for value in re.findall(r'<td data-value="(.*?)"', row)]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    ]
    found = pd.DataFrame(rows, columns=heads).set_index(["architecture", "role", "method"])
    drift = read_table(study.tables / "drift.csv").query("metric == 'iou_top20'")
    assert len(found) == 8
    for row in drift.itertuples():
        value = found.loc[(row.architecture, row.role, row.method), row.pairing]
        assert float(value) == pytest.approx(row.mean, abs=1e-6)


def test_maps_and_metrics_come_back_as_they_were(study, shared):
    index = shard(shared[0] / "cases/index.js")
    facts = index["architectures"][1]
    maps = MapSet.load(study.maps("resnet50v2", "finetune-s0"))
    number = facts["checkpoints"]["finetune-s0"]
    found = shard(shared[0] / f"cases/shard-{number}.js")
    values = unpacked(found["maps"], np.uint8)
    start = 0
    for role, method, height, width in facts["cells"]:
        size = 12 * height * width
        stack = values[start : start + size].reshape(12, height, width) / 255
        raw = maps.maps[role, method]
        assert np.abs(stack - raw / raw.max(axis=(1, 2), keepdims=True)).max() <= 0.5 / 255 + 1e-6
        start += size
    assert start == len(values)
    assert found["predicted"] == maps.logits.argmax(axis=1).tolist()
    pair = next(p for p in facts["pairs"] if p[0] == "finetune")
    numbers = shard(shared[0] / f"cases/shard-{pair[4]}.js")
    codes = unpacked(numbers["values"], "<u2").reshape(4, len(index["metrics"]), 12)
    low, step = numbers["scales"][0]
    assert low + step * codes[0, 0] == pytest.approx((np.arange(12) + 1) / 12, abs=1e-4)


def test_a_blank_map_has_no_value_and_a_reason(shared):
    index = shard(shared[0] / "cases/index.js")
    pair = next(p for p in index["architectures"][0]["pairs"] if p[0] == "finetune")
    numbers = shard(shared[0] / f"cases/shard-{pair[4]}.js")
    blank = unpacked(numbers["blank"], np.uint8).reshape(4, 12)
    assert numbers["reasons"] == ["", "a: all zero"]
    assert blank[:, 0].tolist() == [1] * 4 and not blank[:, 1:].any()
    assert (unpacked(numbers["values"], "<u2").reshape(4, -1, 12)[:, :, 0] == 65535).all()


def test_a_smaller_folder_has_the_first_pair_of_each_kind(study, tmp_path, monkeypatch):
    pairs = browser._same_film_pairs(study.tables / "pairs.csv")
    second = pairs[pairs["pairing"] == "placebo"].assign(pairing="finetune")
    both = pd.concat([pairs, second], ignore_index=True)
    monkeypatch.setattr(browser, "_same_film_pairs", lambda path: both)
    found = {}
    for few in (False, True):
        folder = tmp_path / str(few)
        browser.write_cases(study, folder, classes=made.CLASSES, shareable=False, one_of_each=few)
        told = shard(folder / "index.js")["architectures"][0]["pairs"]
        found[few] = [pair[:3] for pair in told]
    first = [["finetune", "transfer-s0", "finetune-s0"], ["placebo", "transfer-s0", "placebo-s0"]]
    assert len(found[False]) == 3 and sorted(found[True]) == first


def test_films_are_those_of_the_maps_with_their_lesion(shared):
    index = shard(shared[0] / "cases/index.js")
    film = cv2.imread(str(shared[0] / "cases/films/3.jpg"), cv2.IMREAD_GRAYSCALE)
    assert film.shape == (64, 64) and film[:, :8].mean() < 60 < 200 < film[:, -8:].mean()
    assert index["names"] == made.ids(12)
    (polygon,) = index["outlines"]["lesion"][0]
    x, y = np.array(polygon).reshape(-1, 2).T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((500, 750, 250, 500), abs=12)


def test_outlines_come_from_masks_of_any_size(tmp_path):
    paths = made.make_study(tmp_path)
    np.save(paths.images(200), np.zeros((12, 200, 200), np.uint8))  # films alone have this size
    marker = np.zeros((12, 50, 50), bool)
    marker[:, :5, 40:] = True
    np.save(paths.data / "marker_50.npy", marker)
    folder, _ = write(paths)
    outlines = shard(folder / "cases/index.js")["outlines"]
    assert list(outlines) == ["lesion", "marker"] and len(outlines["lesion"]) == 12
    x, y = np.array(outlines["marker"][3][0]).reshape(-1, 2).T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((800, 1000, 0, 100), abs=12)


def test_the_strongest_cells_come_a_bit_each_in_the_order_of_the_maps(study, shared):
    facts = shard(shared[0] / "cases/index.js")["architectures"][1]
    maps = MapSet.load(study.maps("resnet50v2", "finetune-s0"))
    found = shard(shared[0] / f"cases/shard-{facts['checkpoints']['finetune-s0']}.js")
    bits, start = np.unpackbits(unpacked(found["top"], np.uint8)), 0
    for role, method, height, width in facts["cells"]:
        size = height * width
        for raw in maps.maps[role, method].reshape(12, -1):
            strong = bits[start : start + size].astype(bool)
            assert strong.sum() == np.ceil(0.2 * size) and raw[strong].min() > raw[~strong].max()
            start += size


def test_nothing_of_a_film_leaves_data_that_are_not_shareable(tmp_path):
    paths = made.make_study(tmp_path / "place")
    notebook = paths.notebook("01_prepare_data")
    notebook.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    folder, files = write(paths, shareable=False)
    drawn = {file.name for file in files if file.suffix == ".png"}
    assert drawn == {"case.png", "moved.png"}  # maps on a neutral ground, and numbers
    assert {file.suffix for file in files} == {".html", ".css", ".js", ".png"}
    for file in (file for file in files if file.suffix != ".png"):
        text = file.read_text()
        assert not [name for name in made.ids(12) if name in text or html.escape(name) in text]
        assert "secret" not in text and str(tmp_path) not in text
    index = shard(folder / "cases/index.js")
    assert (index["names"], index["outlines"], index["films"]) == ([], {}, False)
    pairs = read_table(paths.tables / "pairs.csv").query("pairing == 'finetune'")
    lowest = pairs[pairs["common"]].sort_values("iou_top20")["image_id"].iloc[0]
    assert f"film {made.ids(12).index(lowest) + 1}" in page(folder).text
    assert not broken(folder) and "01_prepare_data.ipynb" in page(folder).text


def test_a_study_with_fewer_tables_has_a_report(tmp_path):
    paths = made.make_study(tmp_path)
    for name in ("performance", "support", "retained"):
        (paths.tables / f"{name}.csv").unlink()
    for file in (paths.verdicts, manifest_path(paths.verdicts), paths.data / "audit.json"):
        file.unlink()
    folder, _ = write(paths, title="An <audit>", question="Did it <i>move</i>?", notebooks="none")
    found = page(folder)
    assert "Did it <i>move</i>?" in found.text and "An <audit>" in found.text
    anchors = {a["href"] for t, a in found.found if t == "a" and a["href"].startswith("#")}
    assert anchors == {"#top", "#cases", "#drift", "#methods", "#provenance"}
    assert "classifies correctly the strongest 20 %" in " ".join(found.text.split())
    assert "macro AUC" not in found.text


def test_without_pairs_there_are_no_cases_and_no_link_to_them(tmp_path):
    paths = made.make_study(tmp_path)
    (paths.tables / "pairs.csv").unlink()
    folder, files = write(paths)
    assert not [file for file in files if "cases" in str(file.relative_to(folder))]
    assert not [a for t, a in page(folder).found if "cases.html" in a.get("href", "")]


def test_maps_that_are_missing_are_named(tmp_path):
    paths = made.make_study(tmp_path)
    manifest_path(paths.maps("resnet50v2", "placebo-s0")).unlink()
    with pytest.raises(ArtefactError, match=r"placebo-s0 of resnet50v2, of which there are no"):
        write(paths)


def test_a_table_that_changed_is_refused(tmp_path):
    paths = made.make_study(tmp_path)
    with (paths.tables / "drift.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(ArtefactError, match="changed since it was completed"):
        write(paths)


def test_the_same_study_gives_the_same_bytes(study, shared):
    before = {file: file.read_bytes() for file in shared[1]}
    _, again = write(study)
    assert {file: file.read_bytes() for file in again} == before


def test_metrics_are_coded_to_a_known_error():
    values = np.array([-0.5, 0.25, np.nan, 1.5])
    codes, low, step = browser.quantised_metric(values)
    assert codes[2] == 65535 and low == -0.5
    assert np.abs(low + step * codes[[0, 1, 3]] - values[[0, 1, 3]]).max() <= 2 / 65534 / 2 + 1e-12
    same, low, step = browser.quantised_metric(np.array([0.3, 0.3]))
    assert same.tolist() == [0, 0] and (low, step) == (0.3, 0.0)
    none, *_ = browser.quantised_metric(np.array([np.nan]))
    assert none.tolist() == [65535]


def test_pairs_of_which_none_is_blank_are_packed_without_a_warning():
    pair = {"role": "r", "method": "m", "image_id": ["a"], "stratum": "lost", "emd": 0.5}
    pair = pd.DataFrame(pair | {"blank": np.nan})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = browser._pair_shard(pair, np.array(["a"]), [["r", "m"]], ["emd"])
    assert found["reasons"] == [""] and not unpacked(found["blank"], np.uint8).any()


def test_maps_that_are_blank_for_any_reason_have_no_cell():
    maps = np.array([np.zeros((2, 2)), np.full((2, 2), 3), [[0, np.nan], [1, 1]], [[0, 1], [2, 4]]])
    coded = browser.quantised_maps(maps)
    assert coded.tolist() == [[0] * 4, [0] * 4, [0] * 4, [0, 64, 128, 255]]


def test_numbers_in_cells():
    frame = pd.DataFrame(
        {"architecture": ["densenet201", "mine"], "x": [0.12345678, np.nan], "n": [3, 4],
         "f": [True, False]}
    )  # fmt: skip
    table = shown("t", "", frame)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["DenseNet201", "0.123", "3", "yes"], ["mine", "–", "4", "no"],
    ]  # fmt: skip
    assert [cell.value for cell in table.rows[0]] == ["densenet201", "0.123457", "3", "True"]
    assert shown("t", "", frame.assign(x=-1e-9)).rows[0][1].text == "0.000"
    assert shown("t", "", frame.assign(x=-0.5)).rows[0][1].text == "−0.500"


def test_sentences_by_hand():
    drift = pd.DataFrame(
        [["a", "r", "m", "finetune", "iou_top20", 0.25, 8, 0],
         ["b", "r", "m", "finetune", "iou_top20", np.nan, 0, 8],
         ["a", "r", "m", "ceiling", "iou_top20", 0.125, 8, 0]],
        columns=["architecture", "role", "method", "pairing", "metric", "mean", "n", "blank"],
    )  # fmt: skip
    sentence = words.drift_sentence(drift, None)
    assert "overlap by 0.25 (mean" in sentence and "against 0.12 between maps of" in sentence
    moved = drift.assign(pairing=drift["pairing"].replace("ceiling", "perturbed"))
    told = "0.12 where the weights were moved as far in a random direction"
    assert told in words.drift_sentence(moved, None) and told not in sentence
    assert words.drift_sentence(drift.assign(mean=np.nan), None).endswith(
        "no pair of maps could be compared."
    )
    assert words.verdict_sentence(None) == ""
    assert words.listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "results/reference").glob("*/report")), ids=lambda p: p.parent.name
)
def test_the_published_report_repeats_the_published_tables(folder):
    paths = StudyPaths(folder.parent.parent, folder.parent.name)
    performance = read_table(paths.tables / "performance.csv")
    text = " ".join(page(folder).text.split())
    assert " ".join(words.accuracy_sentence(performance).split()) in text
    drift, support = (read_table(paths.tables / f"{name}.csv") for name in ("drift", "support"))
    assert " ".join(words.drift_sentence(drift, support).split()) in text
    verdicts = json.loads(paths.verdicts.read_text(encoding="utf-8"))["verdicts"]
    assert all(phrases.comparisons(verdict["sentence"]) in text for verdict in verdicts.values())
    files = [file for file in folder.rglob("*") if file.is_file()]
    # Copies of the published figures: git keeps what is the same once.
    same = [
        file
        for file in files
        if (folder.parent / "figures" / file.name).is_file()
        and file.parent.name == "figures"
        and file.read_bytes() == (folder.parent / "figures" / file.name).read_bytes()
    ]
    assert sum(file.stat().st_size for file in files if file not in same) < 9.5e6
    origin = json.loads((folder.parent / "provenance.json").read_text(encoding="utf-8"))
    data = origin["parameters"]["data"]
    if data["source"] != "phantom" and not data["shareable"]:
        index = shard(folder / "cases/index.js")
        assert not index["names"] and not list(folder.rglob("*.jpg"))
