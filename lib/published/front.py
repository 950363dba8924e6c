"""What the front page (README) says of the published study: the answer, the sizes, the picture.

Text between two marks is made from tables; the picture carries a hash of the page that it shows.
"""

import hashlib
import shutil
from math import ceil
from pathlib import Path

from PIL import Image, PngImagePlugin

from lib.published import duration, shelf
from lib.report import words
from lib.study.artefacts import atomic, read_table
from lib.study.load import load
from lib.study.paths import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--disable-dev-shm-usage",
)  # fmt: skip
SIZES = {
    "smoke": ("make reproduce STUDY=smoke", "every page, from too few films to mean much"),
    "phantom": ("make reproduce", "the report with verdicts, and all cases"),
    "paper": ("make reproduce STUDY=paper DATA=…",
              "the same on your films, from ImageNet weights at full size"),
}  # fmt: skip
"""Command and what one gets, by study."""
_SHOWN = ("index.html", "report.css", "figures/moved.png", "figures/case.png")


def answer(folder: Path) -> str:
    """The first sentences of a published study, the first of them bold."""
    first, *rest = shelf.first(folder)
    return "\n\n".join([f"**{first}**", *rest])


def shortcut(folder: Path) -> str:
    """Whether networks of a published study use the marker, and what its removal brings."""
    files = [folder / f"tables/{name}.csv" for name in ("marker_use", "correction")]
    return words.shortcut_sentences({f.stem: read_table(f) for f in files if f.exists()})


def sizes() -> str:
    """Table of the sizes of the study: command, films, time on two processors, what one gets."""
    lines = ["| command | what it runs | on two processors | what you get |", "|---|---|---|---|"]
    for study, (command, told) in SIZES.items():
        params = load(study, {})
        films, time = "your", "hours; meant for a GPU"
        if params.data.source == "phantom":
            count = duration.films(params)
            films = f"{count} drawn"
            # Two at a time, and nobody waits to the minute: up to the next five.
            spent = sum(step.seconds for step in duration.steps(params, count=count)) / (2 * 60)
            time = f"about {5 * ceil(spent / 5)} min" if spent else time
        seeds = f"{len(params.seeds)} seed{'s' * (len(params.seeds) != 1)}"
        runs = f"{films} films, {len(params.classes)} classes, {seeds}"
        lines.append(f"| `{command}` | {runs} | {time} | {told} |")
    return "\n".join(lines)


def with_parts(text: str, folder: Path) -> str:
    """`text` with what is between the marks made anew from a published study."""
    beside = shortcut(folder.parent / "shortcut")
    for name, made in (("sizes", sizes()), ("numbers", answer(folder)), ("shortcut", beside)):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(
                f"README.md: expected the marks {begin} and {end}, one of them is missing"
            )
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


def fingerprint(report: Path) -> str:
    """Hash of what the picture of a report shows."""
    parts = [(report / name).read_bytes() for name in _SHOWN]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def browser() -> str | None:
    """Chromium on this machine, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def picture(report: Path, target: Path) -> bool:
    """Take a picture of the first page of a report; False where no browser is installed."""
    found = browser()
    if found is None:
        return False
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, atomic(target) as temporary:
        chromium = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        page = chromium.new_page(viewport={"width": 1280, "height": 860})
        page.goto((report / "index.html").as_uri())
        page.screenshot(path=temporary, type="png")
        chromium.close()
        note = PngImagePlugin.PngInfo()
        note.add_text("shows", fingerprint(report))
        image = Image.open(temporary).convert("RGB")
        image.save(temporary, format="PNG", optimize=True, pnginfo=note)
    return True


def shows(target: Path) -> str:
    """Hash that a picture carries, of the page that it was taken of; "" if it has none."""
    with Image.open(target) as image:
        return image.text.get("shows", "")


def renew() -> list[str]:
    """Make README, the published pages and their picture anew; return what is left to do."""
    for folder in shelf.studies():
        shelf.refresh(folder)
    shelf.compare()
    default, readme = shelf.REFERENCE / "phantom", ROOT / "README.md"
    if default not in shelf.studies():
        return [f"README.md stays as it is: {default}, whose answer it gives, is not there"]
    readme.write_text(with_parts(readme.read_text(encoding="utf-8"), default), encoding="utf-8")
    target = shelf.REFERENCE / "report.png"
    if shows(target) == fingerprint(default / "report") or picture(default / "report", target):
        return []
    return [
        "the picture of README.md is older than the page: no browser is installed (Debian: apt-get "
        "install chromium). Then: make pages"
    ]
