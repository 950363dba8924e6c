"""Executed notebooks as pages of a report, sanitised: an output may hold any markup."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import bleach
from jinja2 import Template
from markupsafe import Markup

from lib.study.artefacts import write_text
from lib.study.paths import StudyPaths

# What Markdown, tables of data frames and highlighted code are made of; the sanitiser of nbconvert
# would turn paragraphs and headings into text.
_TAGS = (
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "span"),
    *("div", "em", "strong", "b", "i", "sub", "sup", "a", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
)
_SPAN = ["colspan", "rowspan"]
_ATTRIBUTES = {"*": ["class", "id"], "a": ["href"], "th": _SPAN, "td": _SPAN}


def sanitised(markup: object) -> str:
    """Markup without scripts, styles, events or any element but those of plain text and tables."""
    text = re.sub(r"<style\b.*?</style>", "", str(markup), flags=re.S | re.I)
    return bleach.clean(text, tags=_TAGS, attributes=_ATTRIBUTES)


def _inside(markup: str, stems: Sequence[str]) -> str:
    """Links to other notebooks lead to their pages; what does not come along is no link."""

    def page(link: re.Match) -> str:
        name = Path(link[1]).stem
        found = next((stem for stem in stems if link[1] and stem.startswith(name)), None)
        return f'href="{quote(found)}.html"' if found else ""

    return re.sub(r'href="(?!#|[a-z]+:)([^"]*)"', page, markup)


def executed(paths: StudyPaths) -> list[Path]:
    """Executed notebooks of a study in order, without its report and without failed runs."""
    found = sorted((paths.root / "notebooks").glob("*.ipynb"))
    # The report's own notebook is still running while it writes the report.
    return [p for p in found if not p.stem.startswith("07_") and not p.stem.endswith(".failed")]


def notebook_pages(
    paths: StudyPaths, folder: Path, template: Template
) -> tuple[list[Path], list[tuple[str, str]]]:
    """Write a page per executed notebook, each with links to its neighbours.

    Returns the pages, and their names with addresses from the folder of the report.
    """
    sources, pages = executed(paths), []
    if not sources:
        return [], []
    import nbformat  # here: the two take seconds, and most commands do not need them
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", sanitize_html=True)
    exporter.register_filter("clean_html", sanitised)
    names = [source.stem for source in sources]
    links = [(name, f"{quote(name)}.html") for name in names]
    beside = zip(sources, [None, *links], [*links[1:], None], strict=False)
    for source, before, after in beside:
        notebook = nbformat.read(source, as_version=4)
        for number, cell in enumerate(notebook.cells):
            cell.id = f"{number:02d}"  # a random one would make every page of a rerun another
        content, _ = exporter.from_notebook_node(notebook)
        content = Markup(_inside(content, names))  # sanitised
        pages.append(folder / f"{source.stem}.html")
        about = {"title": source.stem, "root": "../", "before": before, "after": after}
        write_text(pages[-1], template.render(content=content, **about))
    return pages, [(name, f"notebooks/{link}") for name, link in links]
