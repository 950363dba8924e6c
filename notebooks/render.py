"""Execute every notebook of the study in order on its small defaults and keep it with its outputs.

``python notebooks/render.py [NN_name …]`` writes ``NN_name.ipynb`` beside each ``NN_name.py``; these are the
files that one reads, and the reference of the regression test.
"""

import sys

import nbformat
from execute import FOLDER, execute

from lib.published.executed import cleaned

STUDY_NOTEBOOKS = sorted(FOLDER.glob("[0-9A]*_*.py"))


def main() -> int:
    """Render all, or those that the command line names; stop at the first failure."""
    wanted = sys.argv[1:] or [source.stem for source in STUDY_NOTEBOOKS]
    for source in [FOLDER / f"{name}.py" for name in wanted]:
        print(source.stem, flush=True)
        if reason := execute(source.stem, source.with_suffix(".ipynb"), {}):
            print(f"error: {source.stem}: {reason}", file=sys.stderr)
            return 1
        rendered = source.with_suffix(".ipynb")
        notebook = cleaned(nbformat.read(rendered, as_version=4), source.stem)
        nbformat.write(notebook, rendered)
    return 0


if __name__ == "__main__":
    sys.exit(main())
