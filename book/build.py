"""Make the book: ``python book/build.py FOLDER``, with the Python that has Sphinx.

Sources keep their places beside each other, so that links of the repository work in the book. The
published reports come along: the folder is whole and opens from disk.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("book/*.md", "notebooks/*.ipynb", "CONTRIBUTING.md", "results/reference/*/README.md")
START = '<!doctype html><html lang="en"><title>Book</title><meta http-equiv="refresh" '
START += 'content="0; url=book/index.html"><a href="book/index.html">To the book</a></html>\n'


def build(target: Path) -> int:
    """Write the book into a folder, which is replaced; return Sphinx's exit code."""
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in (file for pattern in SOURCES for file in sorted(ROOT.glob(pattern))):
            copy = Path(folder, file.relative_to(ROOT))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(ROOT / "book")]
        code = sphinx([*options, "-d", str(Path(folder, ".doctrees")), folder, str(target)])
    reports = ROOT / "results/reference"
    shutil.copytree(reports, target / "results/reference", dirs_exist_ok=True)
    (target / "index.html").write_text(START, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).resolve()))
