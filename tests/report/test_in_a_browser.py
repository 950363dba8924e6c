"""The report in a real browser, from disk: every control does what it says, nothing leaves.

Needs a Chromium on the machine. Without one the tests are skipped; CI_BROWSER=1 makes that a
failure.
"""

import csv
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
import report_material as made
from browser import PHONE, count, differs, launched, picture, slide, visits

from lib.report import page as report
from lib.study.artefacts import read_table

FILMS = 40


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    paths = made.make_study(tmp_path_factory.mktemp("browser"), films=FILMS)
    report.write(paths, paths.report.parent, classes=made.CLASSES, shareable=True)
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
    assert page.locator("text=H1 · Is <b>this</b> bold?").count() == 1
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
    first = drift[
        (drift["architecture"] == rows[0]["architecture"])
        & (drift["role"] == rows[0]["role"])
        & (drift["method"] == rows[0]["method"])
    ]
    for row in first.itertuples():
        assert float(rows[0][row.pairing]) == pytest.approx(row.mean, abs=1e-6)


def test_a_downloaded_text_is_no_formula(visit, tmp_path):
    paths = made.make_study(tmp_path)
    support = read_table(paths.tables / "support.csv")
    support.loc[0, "label"] = '=1+1,"x"'
    support.to_csv(paths.tables / "support.csv", index=False)
    folder = paths.report.parent
    report.write(paths, folder, classes=made.CLASSES, shareable=True)
    page = visit("index.html", folder=folder)
    with page.expect_download() as found:
        page.locator("#table-support .csv").click()
    with open(found.value.path(), newline="") as file:
        assert next(csv.DictReader(file))["label"] == '\'=1+1,"x"'


def test_the_three_that_drifted_most_lead_to_their_cases(visit):
    page = visit("index.html")
    links = page.locator(".extremes a")
    assert links.count() == 3
    name = links.first.text_content()
    links.first.click()
    page.wait_for_selector("body[data-ready=true]")
    assert page.text_content("#name") == name


def test_filters_change_the_count_and_the_list(visit):
    page = visit()
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
    assert "No film matches" in page.text_content("#rows")


def test_every_choice_shows_other_maps(visit):
    page = visit()
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


def test_sorting_by_every_metric_orders_the_list_and_blanks_come_last(visit):
    page = visit()
    metrics = page.locator("#sort option").evaluate_all("all => all.map(o => o.value)")
    assert "iou_top20" in metrics and "emd" in metrics and metrics[-1] == "film"
    for order, sign in (("up", 1), ("down", -1)):
        page.select_option("#order", order)
        for metric in metrics[:-1]:
            page.select_option("#sort", metric)
            values = page.locator("#list .value").all_text_contents()[:8]
            numbers = [float(value) for value in values]
            assert numbers == sorted(numbers, reverse=sign < 0) and len(set(numbers)) == 8
        page.focus("#list")
        page.keyboard.press("End")
        assert page.text_content("#name") == made.ids(FILMS)[0]  # the film with a blank map
        page.keyboard.press("Home")
    page.select_option("#sort", "film")
    page.select_option("#order", "up")
    assert page.locator("#list .who").first.text_content() == made.ids(FILMS)[0]


def test_the_slider_fades_from_before_to_after(visit):
    page = visit("cases.html#film=5")
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
    for box in ("smooth", "outline"):
        before = picture(page, "after")
        page.locator(f"#{box}").click()
        assert np.abs(before - picture(page, "after")).max() > 20, box
    slide(page, "opacity", 0)
    film = picture(page, "after")
    assert film[:, -20:].mean() > film[:, :20].mean() + 100  # the film alone


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
    page.select_option("#order", "down")
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
    page = visit(f"cases.html#{address}")
    assert count(page) == FILMS and page.input_value("#architecture") == "densenet201"


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
    assert row.get_attribute("aria-setsize") == str(FILMS)


def test_without_films_maps_lie_on_a_neutral_ground(visit, tmp_path):
    paths = made.make_study(tmp_path)
    folder = paths.report.parent
    report.write(paths, folder, classes=made.CLASSES, shareable=False)
    page = visit("cases.html#film=4", folder=folder)
    assert page.text_content("#name") == "film 4"
    assert page.locator(".film:visible").count() == 0
    assert page.locator("#outline-field").is_hidden()
    slide(page, "opacity", 0)
    ground = picture(page, "before")[10:-10, 10:-10]
    assert ground.std(axis=(0, 1)).max() < 1  # nothing but the ground


def test_a_shard_that_is_lost_is_named(chromium, tmp_path):
    paths = made.make_study(tmp_path)
    folder = paths.report.parent
    report.write(paths, folder, classes=made.CLASSES, shareable=True)
    (folder / "cases/shard-0.js").unlink()
    page = chromium.new_page()
    page.goto(f"{folder.as_uri()}/cases.html")
    page.wait_for_selector("#failure:visible")
    assert "cases/shard-0.js cannot be read" in page.text_content("#failure")
    page.close()


def test_two_thousand_cases_open_in_two_seconds_and_scroll(visit, tmp_path):
    paths = made.make_study(tmp_path, films=2000)
    folder = paths.report.parent
    report.write(paths, folder, classes=made.CLASSES, shareable=True)
    visit("index.html", folder=folder)  # the browser itself is warm
    started = time.perf_counter()
    page = visit("cases.html", folder=folder)
    seconds = time.perf_counter() - started
    assert count(page) == 2000 and page.locator("#list .row").count() < 60
    assert seconds < 2, f"opened in {seconds:.2f} s"
    slowest = page.evaluate(
        """async () => {
          const list = document.querySelector('#list');
          let slowest = 0, last = performance.now();
          for (let i = 1; i <= 40; i += 1) {
            list.scrollTop = i * 1900;
            await new Promise(requestAnimationFrame);
            const now = performance.now();
            slowest = Math.max(slowest, now - last);
            last = now;
          }
          return slowest;
        }"""
    )
    assert slowest < 250, f"a frame took {slowest:.0f} ms"
    assert page.locator("#list .row").count() < 60
