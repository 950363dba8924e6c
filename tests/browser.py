"""A real browser for the tests of pages; without one they are skipped, with CI_BROWSER=1 failed."""

import os
import re
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from lib.published.front import BROWSERS, FLAGS
from lib.published.front import browser as browser_here

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextmanager
def launched():
    """Headless Chromium."""
    found = browser_here()
    if found is None:
        message = f"no browser: none of {', '.join(BROWSERS)} is installed (Debian: apt-get install"
        message += " chromium), so nobody has looked at the report"
        if os.environ.get("CI_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def visits(chromium):
    """Give ``go(folder, name, size=…)``, which opens a page from disk.

    At the end nothing may have been logged, nor asked for beyond the disk.
    """
    contexts, trouble = [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # a page that is left stops loading pictures
            trouble.append(f"failed {request.url}")

    def go(folder, name="cases.html", *, size=DESKTOP, **options):
        contexts.append(chromium.new_context(viewport=size, accept_downloads=True, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda m: trouble.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.on("requestfailed", failed)

        def asked(request):
            if not request.url.startswith(("file://", "blob:", "data:")):
                trouble.append(request.url)

        page.on("request", asked)
        page.goto(f"{folder.as_uri()}/{name}")
        if name.startswith("cases"):
            page.wait_for_selector("body[data-ready=true]")
        return page

    yield go
    for context in contexts:
        context.close()
    assert not trouble, trouble


def barriers(page, **rules):
    """What axe-core finds that keeps people out, with all that is folded open: a line for each.

    Rules are those of axe and the size of what is to be tapped; `rules` turns one off or on.
    """
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    asked = {"target-size": True, **{name.replace("_", "-"): on for name, on in rules.items()}}
    options = {
        "preload": False,  # of style sheets, which the pages do not let a script read
        "resultTypes": ["violations"],
        "rules": {name: {"enabled": on} for name, on in asked.items()},
    }
    return [
        f"{found['id']}: {node['html'][:120]}"
        for found in Axe().run(page, options=options).response["violations"]
        for node in found["nodes"]
    ]


def count(page):
    return int(re.match(r"\d+", page.text_content("#count"))[0])


def picture(page, name):
    """Pixels of a panel as they are on the screen, shape (h, w, 3)."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('.film:not([hidden])')].every(i => i.complete)"
    )
    shot = page.locator(f"#panel-{name} .stage").screenshot()
    return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(int)


def differs(a, b):
    return np.abs(a - b).mean() > 1


def slide(page, name, value):
    page.locator(f"#{name}").fill(str(value))
