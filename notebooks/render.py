"""Execute every notebook of the study in order on its small defaults and keep it with its outputs.

``python notebooks/render.py [NN_name …]`` writes ``NN_name.ipynb`` beside each ``NN_name.py``; these are the
files that one reads, and the reference of the regression test.
"""

import re
import sys
from pathlib import Path

import nbformat
from execute import FOLDER, execute

STUDY_NOTEBOOKS = sorted(FOLDER.glob("[0-9A]*_*.py"))


def is_log(output) -> bool:
    """Whether an output is a log of TensorFlow, with times and addresses of this machine."""
    text = output.get("text", "")
    if text.startswith("WARNING:tensorflow:"):
        return True
    return output.get("name") == "stderr" and bool(
        re.search(r"absl::InitializeLog|^[IWEF]0000 ", text, re.M)
    )


def clean(path: Path) -> None:
    """Remove what differs from machine to machine: timings, paths, papermill's own cells."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{path.stem[:2]}-{number:02d}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_log(output)]
        for key in ("exception", "start_time", "end_time", "duration", "status"):
            cell.metadata.pop(key, None)
    nbformat.write(notebook, path)


def main() -> int:
    """Render all, or those that the command line names; stop at the first failure."""
    wanted = sys.argv[1:] or [source.stem for source in STUDY_NOTEBOOKS]
    for source in [FOLDER / f"{name}.py" for name in wanted]:
        print(source.stem, flush=True)
        if reason := execute(source.stem, source.with_suffix(".ipynb"), {}):
            print(f"error: {source.stem}: {reason}", file=sys.stderr)
            return 1
        clean(source.with_suffix(".ipynb"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
