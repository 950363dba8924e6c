"""The report in a real browser, from disk: every control does what it says, nothing leaves.

Needs a Chromium on the machine. Without one the tests are skipped; CI_BROWSER=1 makes that a
failure.
"""

import csv
import re
import shutil
from itertools import pairwise

import cv2
import numpy as np
import pytest
import report_material as made
from browser import DESKTOP, PHONE, barriers, count, differs, launched, picture, slide, visits

from lib.attribution.maps import MapSet
from lib.drift import metrics as drift
from lib.published import shelf
from lib.report import page as report
from lib.study.artefacts import read_table, write_table

FILMS = 40


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    paths = made.make_study(tmp_path_factory.mktemp("browser"), films=FILMS)
    made.make_report(paths)
    return paths


@pytest.fixture
def visit(chromium, study):
    """Open a page of the study's report, or of that in another folder."""
    with visits(chromium) as go:
        yield lambda name="cases.html", *, folder=None, **options: go(
            folder or study.report.parent, name, **options
        )


def settle(page, wanted):
    """Wait until the address holds `wanted`: it is written a moment after the last change."""
    page.wait_for_function("w => location.hash.includes(w)", arg=wanted)


def test_the_first_page_shows_names_as_text(visit):
    page = visit("index.html")
    assert page.locator("h1").text_content() == report.QUESTION
    assert page.locator("h3", has_text="Is <b>this</b> bold? H1").count() == 1
    assert page.locator("text=<script>alert(1)</script>").count() >= 1
    assert page.evaluate("document.scripts.length") == 1


def test_tables_sort_and_download(visit, study):
    page = visit("index.html")
    head = page.locator("#table-performance th", has_text="macro AUC")
    column = head.evaluate("th => th.cellIndex")

    def values():
        cells = page.locator(f"#table-performance tbody td:nth-child({column + 1})")
        return [float(text) for text in cells.all_text_contents()]

    head.locator("button").click()
    assert values() == sorted(values()) and head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert values() == sorted(values(), reverse=True) != sorted(values())
    with page.expect_download() as found:
        page.locator("#table-drift .csv").click()
    assert found.value.suggested_filename == "drift.csv"
    with open(found.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    drift = read_table(study.tables / "drift.csv").query("metric == 'iou_top20'")
    cell = ["architecture", "role", "method"]
    first = drift[(drift[cell] == [rows[0][key] for key in cell]).all(axis=1)]
    for row in first.itertuples():
        assert float(rows[0][row.pairing]) == pytest.approx(row.mean, abs=1e-6)


def test_a_downloaded_text_is_no_formula(visit, tmp_path):
    paths = made.make_study(tmp_path)
    support = read_table(paths.tables / "support.csv")
    support.loc[0, "label"] = '=1+1,"x"'
    support.to_csv(paths.tables / "support.csv", index=False)
    folder = made.make_report(paths)
    page = visit("index.html", folder=folder)
    with page.expect_download() as found:
        page.locator("#table-support .csv").click()
    with open(found.value.path(), newline="") as file:
        assert next(csv.DictReader(file))["label"] == '\'=1+1,"x"'


def test_the_three_that_drifted_most_lead_to_the_view_in_which_they_did(chromium, tmp_path):
    paths = made.make_study(tmp_path, films=FILMS)
    table = read_table(paths.tables / "pairs.csv")
    cell = "architecture == 'resnet50v2' and role == 'stage4' and method == 'gradcam'"
    films = table.query(f"common and pairing == 'finetune' and {cell}")
    table.loc[films.index[::-1][:3], "iou_top20"] = [0.001, 0.002, 0.003]
    lowest = films["image_id"].tolist()[::-1][:3]
    table.loc[table["image_id"].isin(set(films["image_id"]) - set(lowest)), "iou_top20"] = 1.0
    write_table(paths.tables / "pairs.csv", table)
    folder = made.make_report(paths)
    with visits(chromium) as go:
        page = go(folder, "index.html")
        assert set(page.locator(".extremes a").all_text_contents()) == set(lowest)
        assert "overlaps least, by 0.00" in page.text_content(".extremes")
        for place in range(3):
            name = page.locator(".extremes a").nth(place).text_content()
            page.locator(".extremes a").nth(place).click()
            page.wait_for_selector("body[data-ready=true]")
            assert page.text_content("#name") == name
            view = [page.input_value(f"#{field}") for field in ("architecture", "role", "method")]
            assert view == ["resnet50v2", "stage4", "gradcam"]
            assert page.input_value("#pair") == "finetune~transfer-s0~finetune-s0"
            assert page.is_checked("#common") and page.input_value("#order") == "most"
            value = page.locator("#metrics td").nth(1).text_content()
            assert value == f"0.00{lowest.index(name) + 1}"
            told = page.text_content("#facts")
            assert told.endswith(f"{lowest.index(name) + 1} of {len(films)}")
            page.go_back()


def test_filters_change_the_count_and_the_list(visit):
    page = visit("cases.html#common=0")
    assert count(page) == FILMS
    page.select_option("#class", "2")
    assert count(page) == FILMS // 3
    assert page.text_content("#facts").startswith("plain")
    page.select_option("#class", "")
    counts = []
    for stratum in ("kept-correct", "rescued", "lost", "kept-wrong"):
        page.select_option("#stratum", stratum)
        counts.append(count(page))
        if counts[-1]:
            assert stratum in page.text_content("#facts")
    assert sum(counts) == FILMS and counts[0] > 0
    page.select_option("#stratum", "")
    page.check("#common")
    assert 0 < count(page) < FILMS and "in the common support" in page.text_content("#facts")
    page.select_option("#stratum", "lost")
    assert count(page) == 0
    assert "No film matches" in page.text_content("#empty")
    page.click("#reset")
    assert 0 < count(page) < FILMS and page.input_value("#stratum") == ""
    assert page.locator("#list").is_visible() and page.locator("#empty").is_hidden()


def test_every_choice_shows_other_maps(visit):
    page = visit("cases.html#common=0")
    page.locator("#list .row").nth(3).click()
    seen = [picture(page, "before")]
    for field, value in (
        ("role", "stage4"), ("method", "gradcam"), ("architecture", "resnet50v2"),
    ):  # fmt: skip
        page.select_option(f"#{field}", value)
        settle(page, f"{field}={value}")
        seen.append(picture(page, "before"))
    for a, b in pairwise(seen):
        assert differs(a, b)
    after = picture(page, "after")
    page.select_option("#pair", "placebo~transfer-s0~placebo-s0")
    settle(page, "pair=placebo")
    assert differs(after, picture(page, "after"))
    assert not differs(seen[-1], picture(page, "before"))
    assert page.text_content("#panel-after figcaption") == "After: placebo-s0"


def test_most_drifted_comes_first_whatever_the_direction_of_the_metric(visit):
    page = visit("cases.html#common=0")
    metrics = page.locator("#sort option").evaluate_all("all => all.map(o => o.value)")
    assert metrics == [*drift.METRICS, "film"]
    for order, sign in (("most", 1), ("least", -1)):
        page.select_option("#order", order)
        for metric in metrics[:-1]:
            page.select_option("#sort", metric)
            values = page.locator("#list .value").all_text_contents()[:8]
            numbers = [float(value) for value in values]
            up = (sign > 0) == (drift.TABLE[metric].kind == "similarity")
            assert numbers == sorted(numbers, reverse=not up) and len(set(numbers)) == 8, metric
            assert page.text_content("#facts").endswith(f"1 of {FILMS}")
        page.focus("#list")
        page.keyboard.press("End")
        assert page.text_content("#name") == made.ids(FILMS)[0]  # the film with a blank map
        page.keyboard.press("Home")
    page.select_option("#sort", "film")
    page.select_option("#order", "most")
    assert page.locator("#list .who").first.text_content() == made.ids(FILMS)[0]


@pytest.fixture(scope="module")
def other_orders(tmp_path_factory):
    """A study of which few films have a distance, all the same overlap, and one a flat map."""
    paths = made.make_study(tmp_path_factory.mktemp("orders"), films=FILMS)
    table = read_table(paths.tables / "pairs.csv")
    table["iou_top20"] = table["iou_top20"].where(table["iou_top20"].isna(), 0.25)
    table["emd"] = table["emd"].where(table["common"])
    table["ssim"] = np.nan
    number = table["image_id"].map({name: i for i, name in enumerate(made.ids(FILMS))})
    table["gini_change"] *= np.where(number % 2, 1, -1)
    write_table(paths.tables / "pairs.csv", table)
    maps = MapSet.load(paths.maps("densenet201", "finetune-s0"))
    stack = maps.maps["post_activation", "layercam"].copy()
    stack[5] = np.linspace(0.85, 1, 25).reshape(5, 5)
    cells = {**maps.maps, ("post_activation", "layercam"): stack}
    made.change_maps(paths, "densenet201", "finetune-s0", maps=cells)
    return made.make_report(paths)


def test_ties_go_by_the_finer_metric_and_a_change_by_its_size(visit, other_orders):
    page = visit("cases.html#common=0", folder=other_orders)
    names = page.locator("#list .who").all_text_contents()
    assert names[:5] == made.ids(FILMS)[1:6]
    page.select_option("#order", "least")
    assert page.locator("#list .who").all_text_contents()[:5] == made.ids(FILMS)[:-6:-1]
    page.select_option("#sort", "gini_change")
    page.select_option("#order", "most")
    values = page.locator("#list .value").all_text_contents()[:4]
    assert [float(value.replace("−", "-")) for value in values] == [1, -0.975, 0.95, -0.925]


def test_only_metrics_that_are_known_are_offered_and_the_support_is_common(visit, other_orders):
    page = visit(folder=other_orders)
    options = "#sort option"
    assert page.is_checked("#common") and 0 < count(page) < FILMS
    assert page.locator(f"{options}[value=emd]").count() == 1
    assert page.locator(f"{options}[value=ssim]").count() == 0
    page.select_option("#sort", "emd")
    page.uncheck("#common")
    assert page.locator(f"{options}[value=emd]").count() == 0
    assert page.input_value("#sort") == "iou_top20"
    assert "Earth mover" not in page.text_content("#metrics")


def test_a_map_that_is_nearly_flat_is_marked(visit, other_orders):
    page = visit("cases.html#film=6", folder=other_orders)
    assert page.text_content("#flat").startswith("Nearly flat: the weakest cell has 85 % (after)")
    assert page.locator("#case-6 .flat").count() == 1
    assert page.locator("#list .flat").count() == 1
    page.select_option("#role", "stage4")
    settle(page, "role=stage4")
    assert page.locator("#flat").is_hidden() and page.locator("#list .flat").count() == 0


def test_the_slider_fades_from_before_to_after(visit):
    page = visit("cases.html#film=5&strongest=0")
    slide(page, "fade", 0)
    first = picture(page, "fade")
    slide(page, "fade", 100)
    last = picture(page, "fade")
    slide(page, "fade", 50)
    middle = picture(page, "fade")
    assert differs(first, last) and differs(first, middle) and differs(middle, last)
    small = (first.shape[1] // 4,) * 2

    def like(name, image):
        resized = [
            cv2.resize(x.astype(np.float32), small, interpolation=cv2.INTER_AREA)
            for x in (picture(page, name), image)
        ]
        return np.abs(resized[0] - resized[1]).mean()

    assert like("before", first) < 6 < like("before", last)
    assert like("after", last) < 6 < like("after", first)


def test_the_look_of_maps_and_films_can_be_adjusted(visit):
    page = visit("cases.html#film=5")
    for control, value, panel in (
        ("opacity", 10, "before"), ("contrast", 300, "before"), ("film", 200, "before"),
        ("contrast", 40, "difference"), ("opacity", 90, "difference"),
    ):  # fmt: skip
        before = picture(page, panel)
        slide(page, control, value)
        assert differs(before, picture(page, panel)), control
    before = picture(page, "after")
    page.select_option("#colours", "magma")
    assert differs(before, picture(page, "after"))
    for box in ("smooth", "outline", "strongest"):
        before = picture(page, "after")
        page.locator(f"#{box}").click()
        assert np.abs(before - picture(page, "after")).max() > 20, box
    page.uncheck("#outline")
    slide(page, "opacity", 0)
    film = picture(page, "after")
    assert film[:, -20:].mean() > film[:, :20].mean() + 100  # the film alone


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """A study whose maps before have evidence in the upper left and after in the lower right."""
    paths = made.make_study(tmp_path_factory.mktemp("sparse"), films=6)
    for architecture in made.ARCHITECTURES:
        for checkpoint in made.CHECKPOINTS:
            here = slice(0, 2) if checkpoint == "transfer-s0" else slice(-2, None)
            cells = {}
            for cell, side in made.CELLS.items():
                cells[cell] = np.zeros((6, side, side), np.float32)
                cells[cell][:, here, here] = [[1, 0.5], [0.5, 0.25]]
            made.change_maps(paths, architecture, checkpoint, maps=cells)
    return made.make_report(paths)


def test_the_film_stays_visible_where_there_is_no_evidence(visit, sparse):
    page = visit("cases.html#film=2&strongest=0&outline=0", folder=sparse)
    seen = picture(page, "before")
    slide(page, "opacity", 0)
    film = picture(page, "before")
    changed = np.abs(seen - film).max(axis=2)
    side = film.shape[0]

    def most(row, column):
        return changed[round(side * (row + 0.5) / 5), round(side * (column + 0.5) / 5)]

    assert most(0, 0) > most(0, 1) > most(1, 1) > 5
    assert changed[side // 2 :].max() <= 2 and changed[:, side // 2 :].max() <= 2


def test_the_strongest_cells_have_an_outline_that_can_be_taken_off(visit, sparse):
    page = visit("cases.html#film=2", folder=sparse)
    lines = page.locator("#panel-before path.strong").last.get_attribute("d")
    assert lines.count("M") == 8 and "M0 0h200" in lines and "M400 200v200" in lines
    assert page.locator("#panel-after path.strong").last.get_attribute("d").count("M") == 8
    assert page.locator("#panel-difference path.dashed").count() == 1
    page.keyboard.press("s")
    assert page.locator("path.strong").count() == 0


def test_keys_show_the_film_alone_and_compare_while_they_are_held(visit, sparse):
    page = visit("cases.html#film=2&fade=0", folder=sparse)
    before = picture(page, "fade")
    page.keyboard.down("f")
    assert page.locator("#panel-fade .map").is_hidden()
    alone = picture(page, "fade")
    assert differs(before, alone)
    page.keyboard.up("f")
    assert not differs(before, picture(page, "fade"))
    page.keyboard.down("c")
    assert page.input_value("#fade") == "100" and differs(before, picture(page, "fade"))
    page.keyboard.up("c")
    assert page.input_value("#fade") == "0" and not differs(before, picture(page, "fade"))
    page.focus("#compare")
    page.keyboard.down("Space")
    assert page.input_value("#fade") == "100"
    page.keyboard.up("Space")
    assert page.input_value("#fade") == "0"


def test_the_value_under_the_pointer_and_a_click_to_enlarge(visit, sparse):
    page = visit("cases.html#film=2", folder=sparse)
    box = page.locator("#panel-before .stage").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.1 * box["height"])
    told = page.text_content("#under")
    assert (
        told.startswith("row 1, column 2: 0.50 before, 0.00 after") and "−22 % of the mass" in told
    )
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.1 * box["height"])
    large = page.locator("#panel-before .stage").bounding_box()
    assert large["height"] > 700 > box["height"] and large["width"] == large["height"]
    page.keyboard.press("Escape")
    assert page.locator("#panel-before .stage").bounding_box() == box


def test_the_pictures_fill_a_wide_screen(visit):
    page = visit(size={"width": 2200, "height": 1200})
    main = page.locator("#panel-fade .stage").bounding_box()
    right = page.locator("#panel-after .stage").bounding_box()
    assert main["height"] > 900 and main["y"] + main["height"] < 1200
    assert right["x"] + right["width"] > 2100


def test_a_blank_map_says_so(visit):
    page = visit("cases.html#film=1")
    assert page.locator("#panel-before .blank").text_content() == "blank"
    assert page.locator("#panel-before .map").is_hidden()
    assert page.locator("#panel-after .blank").is_hidden()
    assert "no difference" in page.locator("#panel-difference .blank").text_content()
    assert set(page.locator("#metrics td").all_text_contents()) == {"blank"}


def test_numbers_are_those_of_the_tables(visit, study):
    page = visit("cases.html#film=8&role=stage4&method=gradcam")
    pairs = read_table(study.tables / "pairs.csv").query(
        "architecture == 'densenet201' and pairing == 'finetune' and role == 'stage4'"
        " and method == 'gradcam'"
    )
    row = pairs[pairs["image_id"] == made.ids(FILMS)[7]].iloc[0]
    shown = page.locator("#metrics td").all_text_contents()
    assert shown[:2] == [f"{row['centroid_displacement']:.3f}", f"{row['iou_top20']:.3f}"]
    assert row["stratum"] in page.text_content("#facts")
    assert 0 <= float(page.text_content("#p-before")) <= 1
    assert page.text_content("#c-after").strip()


def test_keys_walk_and_fade(visit):
    page = visit()
    page.locator("body").focus()
    names = page.locator("#list .who").all_text_contents()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.text_content("#name") == names[2]
    page.keyboard.press("ArrowUp")
    assert page.text_content("#name") == names[1]
    assert page.get_attribute("#list", "aria-activedescendant") == page.locator(
        '#list [aria-selected="true"]'
    ).get_attribute("id")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#fade") == "60"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#fade") == "40"
    page.keyboard.press("o")
    assert not page.is_checked("#outline")
    page.click("#next")
    assert page.text_content("#name") == names[2]
    page.click("#previous")
    assert page.text_content("#name") == names[1]
    page.click("#help summary")
    assert page.locator("#help kbd").count() >= 7


def test_the_address_restores_the_view(visit):
    page = visit()
    page.select_option("#architecture", "resnet50v2")
    page.select_option("#role", "stage4")
    page.select_option("#class", "1")
    page.select_option("#sort", "emd")
    page.select_option("#order", "least")
    page.locator("#list .row").nth(2).click()
    slide(page, "fade", 80)
    page.select_option("#colours", "cividis")
    settle(page, "colours=cividis")
    wanted = (page.text_content("#name"), page.text_content("#count"), page.input_value("#fade"))
    before = picture(page, "fade")
    again = visit(f"cases.html{page.evaluate('location.hash')}")
    assert (
        again.text_content("#name"), again.text_content("#count"), again.input_value("#fade")
    ) == wanted  # fmt: skip
    assert again.input_value("#sort") == "emd" and again.input_value("#colours") == "cividis"
    assert np.abs(before - picture(again, "fade")).mean() < 1


@pytest.mark.parametrize(
    "address", ["architecture=none&film=9999&fade=-3", "sort=%3Cscript%3E&class=77", "film=x&x=%"]
)
def test_an_address_that_names_nothing_gives_the_first_view(visit, address):
    page = visit(f"cases.html#{address}&common=0")
    assert count(page) == FILMS and page.input_value("#architecture") == "densenet201"


def test_up_and_down_change_the_case_wherever_the_focus_is(visit):
    page = visit("cases.html#common=0")
    names = page.locator("#list .who").all_text_contents()
    for place, name in enumerate(("sort", "class", "fade", "search", "strongest", "next"), 1):
        page.focus(f"#{name}")
        page.keyboard.press("ArrowDown")
        assert page.text_content("#name") == names[place], name
    page.keyboard.press("ArrowUp")
    assert page.text_content("#name") == names[5]
    assert page.input_value("#sort") == "iou_top20" and page.input_value("#fade") == "50"


def test_a_name_can_be_searched_and_the_histogram_filters(visit, study):
    page = visit("cases.html#common=0")
    page.fill("#search", "RET-001")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('10 ')")
    names = page.locator("#list .who").all_text_contents()
    assert names == [f"secret-{n:04d}" for n in range(10, 20)]
    page.fill("#search", "")
    settle(page, "common=0")
    bars = page.locator("#histogram rect")
    assert bars.count() == 24
    page.fill("#range-to", "6")
    settle(page, "to=6")
    assert 5 < count(page) < FILMS
    values = [float(v) for v in page.locator("#list .value").all_text_contents()]
    low, high = (float(v) for v in page.text_content("#range-text").split(" to "))
    assert low <= min(values) and max(values) <= high
    box = page.locator("#histogram").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 23.5 / 24, box["y"] + 20)
    settle(page, "from=23")
    assert page.locator("#list .value").all_text_contents()[-1] == "1.000"
    page.select_option("#sort", "emd")
    assert count(page) == FILMS


def test_the_list_has_thumbnails_and_names_are_cut_where_they_are_alike(visit, tmp_path):
    page = visit("cases.html#common=0")
    page.wait_for_selector("#list .row .thumb[src^='cases/films/']")
    paths = made.make_study(tmp_path, films=6)
    known = read_table(paths.tables / "pairs.csv")
    names = [f"archive-of-the-hospital-{n}5-0001.dicom.png" for n in range(6)]
    told = dict(zip(made.ids(6), names, strict=True))
    for column in ("image_id", "partner_id"):
        known[column] = known[column].map(told)
    write_table(paths.tables / "pairs.csv", known)
    for architecture in made.ARCHITECTURES:
        for checkpoint in made.CHECKPOINTS:
            made.change_maps(paths, architecture, checkpoint, image_id=np.array(names))
    manifest = read_table(paths.manifest).assign(image_id=names)
    made.complete(paths.manifest, lambda file: write_table(file, manifest))
    folder = made.make_report(paths)
    page = visit("cases.html#common=0&sort=film", folder=folder)
    assert page.locator("#list .who").all_text_contents() == [f"…{n}…" for n in range(6)]
    assert page.locator("#list .row").first.get_attribute("title") == names[0]


def test_the_filtered_list_comes_as_csv_and_the_link_holds_the_view(visit, study):
    page = visit("cases.html#common=0&class=2")
    with page.expect_download() as found:
        page.click("#csv")
    with open(found.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FILMS // 3 and {row["class"] for row in rows} == {"plain"}
    pairs = read_table(study.tables / "pairs.csv").query(
        "architecture == 'densenet201' and pairing == 'finetune' and role == 'post_activation'"
        " and method == 'layercam'"
    )
    first = pairs.set_index("image_id").loc[rows[0]["name"]]
    assert float(rows[0]["soft_iou"]) == pytest.approx(first["soft_iou"], abs=1e-4)
    assert rows[0]["outcome"] == first["stratum"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.select_option("#role", "stage4")
    page.click("#link")
    page.wait_for_function("() => document.querySelector('#copied').textContent === 'copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url and "role=stage4" in copied and "class=2" in copied


def test_a_phone_shows_the_case_that_is_tapped_and_keeps_all_in_reach(visit):
    page = visit("cases.html#common=0", size=PHONE, has_touch=True, is_mobile=True)
    page.locator("#list .row").nth(1).tap()
    name = page.locator("#list .who").nth(1).text_content()
    assert page.text_content("#name") == name

    def inside(name):
        box = page.locator(name).bounding_box()
        return box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"]

    for wanted in ("#name", "#panel-fade .stage", "#previous", "#next", "#choices summary"):
        assert inside(wanted), wanted
    page.evaluate("document.querySelector('#viewer').scrollTop = 600")
    assert inside("#previous") and inside("#next") and inside("#choices summary")
    page.locator("#choices summary").tap()
    assert inside("#architecture") and page.locator("#list .row").first.is_visible()


def test_long_class_names_wrap_on_a_phone(visit, tmp_path):
    long = ["pneumonia_of_unknown_origin_" * 4, "x" * 90, "plain"]
    folder = made.make_report(made.make_study(tmp_path), classes=long)
    page = visit("cases.html", folder=folder, size=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("document.querySelector('#viewer').scrollWidth") <= PHONE["width"]


def test_a_phone_shows_all_without_scrolling_sideways(visit):
    for name in ("cases.html", "index.html"):
        page = visit(name, size=PHONE, has_touch=True, is_mobile=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    names = page.locator("#list .who").all_text_contents()
    assert page.text_content("#name") == names[0]
    page.evaluate(
        """() => {
          const box = document.querySelector('#panel-fade .stage');
          const at = (x) => new Touch({ identifier: 1, target: box, clientX: x, clientY: 300 });
          const say = (name, touches, changedTouches) => box.dispatchEvent(
            new TouchEvent(name, { touches, changedTouches, bubbles: true }));
          say('touchstart', [at(300)], [at(300)]);
          say('touchend', [], [at(120)]);
        }"""
    )
    assert page.text_content("#name") == names[1]


def pages_of(page):
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


def test_a_case_is_printed_on_one_page_and_says_what_it_shows(visit):
    page = visit("cases.html#film=5&role=stage4")
    assert pages_of(page) == 1
    page.emulate_media(media="print")
    assert page.text_content("#where") == "DenseNet201 · stage4 · LayerCAM · transfer → fine-tuned"
    assert page.locator("#where").is_visible() and page.locator(".picker").is_hidden()


def test_what_is_folded_is_printed_open(visit):
    page = visit("index.html")
    table = page.locator("#verdicts .intervals").first
    assert not table.is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert table.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not table.is_visible()


@pytest.mark.parametrize("name", ["index.html", "cases.html"])
def test_pages_are_dark_where_that_is_preferred_and_light_on_paper(visit, name):
    page = visit(name, color_scheme="dark")

    def luminance(property_):
        colour = page.evaluate(f"getComputedStyle(document.body).{property_}")
        return np.mean([int(value) for value in re.findall(r"\d+", colour)[:3]])

    assert luminance("backgroundColor") < 40 and luminance("color") > 200
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance("backgroundColor") == 255 and luminance("color") < 60
    light = visit(name)
    assert light.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_everything_has_a_name_for_those_who_hear_the_page(visit):
    page = visit()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [role=listbox]')].filter(
          e => !(e.labels?.length || e.textContent.trim() && e.tagName === 'BUTTON'
                 || e.getAttribute('aria-label'))).map(e => e.outerHTML)"""
    )
    assert not unnamed
    assert page.locator("canvas.map[aria-label]").count() == 4
    row = page.locator("#list .row").first
    assert row.get_attribute("aria-setsize") == str(count(page))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published studies side by side, and the report of the first, by today's templates."""
    root = tmp_path_factory.mktemp("published")
    for folder in shelf.studies():
        shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("pairs"))
    shelf.refresh(shelf.studies(root)[0])
    shelf.compare(root)
    return root


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_is_kept_out_by_a_page(visit, published, size, scheme):
    pages = [(None, "index.html"), (None, "cases.html"), (None, "cases.html#search=nobody")]
    for folder, name in (*pages, (published, "index.html")):
        page = visit(name, folder=folder, size=size, color_scheme=scheme)
        assert barriers(page) == [], name


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_is_kept_out_by_a_whole_report(visit, published, size):
    folder = shelf.studies(published)[0] / "report"
    page = visit("index.html", folder=folder, size=size)
    # Contrast, which takes most of the time, is that of the small report above.
    assert barriers(page, color_contrast=False) == []


def test_barriers_are_found(visit):
    page = visit()
    page.evaluate(
        """() => {
          document.querySelector('#list').removeAttribute('aria-label');
          document.querySelector('#name').style.color = '#aaaaaa';
          document.querySelector('#previous').style.cssText = 'width: 9px; height: 9px; padding: 0';
          document.querySelector('#next').style.cssText = 'width: 9px; height: 9px; padding: 0';
        }"""
    )
    found = {line.partition(":")[0] for line in barriers(page)}
    assert {"aria-input-field-name", "color-contrast", "target-size"} <= found


def test_without_films_maps_lie_on_a_neutral_ground(visit, tmp_path):
    folder = made.make_report(made.make_study(tmp_path), shareable=False)
    page = visit("cases.html#film=4&strongest=0", folder=folder)
    assert page.text_content("#name") == "film 4"
    assert "may not be shown" in page.locator(".withheld:visible").text_content()
    assert page.locator(".thumb").count() == 0
    assert page.locator(".film:visible").count() == 0
    assert page.locator("#outline-field").is_hidden()
    slide(page, "opacity", 0)
    ground = picture(page, "before")[10:-10, 10:-10]
    assert ground.std(axis=(0, 1)).max() < 1  # nothing but the ground


def test_a_shard_that_is_lost_is_named(chromium, tmp_path):
    folder = made.make_report(made.make_study(tmp_path))
    (folder / "cases/shard-0.js").unlink()
    page = chromium.new_page()
    page.goto(f"{folder.as_uri()}/cases.html")
    page.wait_for_selector("#failure:visible")
    assert "cases/shard-0.js cannot be read" in page.text_content("#failure")
    page.close()


def test_of_two_thousand_cases_only_the_rows_in_sight_exist(visit, tmp_path):
    folder = made.make_report(made.make_study(tmp_path, films=2000))
    page = visit("cases.html#common=0", folder=folder)
    assert count(page) == 2000 and page.locator("#list .row").count() < 60
    page.evaluate("document.querySelector('#list').scrollTop = 60000")
    page.wait_for_function("!document.querySelector('#case-1')")
    assert page.locator("#list .row").count() < 60
