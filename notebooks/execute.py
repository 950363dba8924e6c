"""Execute one notebook of the study with papermill: checked, atomic, one line on failure.

``python notebooks/execute.py 02_transfer --output FILE.ipynb --parameters '{"seed": 0}'``
"""

import argparse
import ast
import fcntl
import json
import logging
import os
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

# Through nbformat comes jsonschema, which would read the grammar of international addresses, for longer
# than all else here takes to start; no notebook has a field of that format.
sys.modules.setdefault("rfc3987_syntax", None)

import jupytext
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

FOLDER = Path(__file__).resolve().parent
LOCKS = FOLDER.parent / ".snakemake"


class OwnKernel(AsyncKernelManager):
    """The Python that runs this, whatever kernel a user has installed under the name ``python3``."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How this interpreter is started as a kernel."""
        return KernelSpec(
            argv=make_ipkernel_cmd(), display_name="Python 3", language="python", name="python3"
        )


def known_parameters(notebook) -> set[str]:
    """Names assigned in the cell tagged ``parameters``."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise SystemExit(f"error: {len(cells)} cells are tagged 'parameters', expected 1")
    return {
        target.id
        for statement in ast.parse(cells[0].source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }


def execute(name: str, output: Path, parameters: dict) -> str | None:
    """Run ``notebooks/<name>.py``; return None, or the reason of a failure in one line.

    The executed notebook appears under its name only if every cell ran; a failed run is kept as
    ``<output>.failed.ipynb``.
    """
    notebook = jupytext.read(FOLDER / f"{name}.py")
    # papermill would only log an unknown parameter and go on without it.
    if unknown := sorted(set(parameters) - (known := known_parameters(notebook))):
        return f"unknown parameters {', '.join(unknown)}; {name} takes {', '.join(sorted(known))}"
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    # With the process in its name, so that `lib.study.running` can tell what a killed one left.
    prefix = f".running-{os.getpid()}-"
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=prefix) as folder:
        source, result = Path(folder, "source.ipynb"), Path(folder, output.name)
        jupytext.write(notebook, source)
        try:
            papermill.execute_notebook(
                source, result, parameters, kernel_name="python3", cwd=str(FOLDER),
                progress_bar=False, log_output=True, kernel_manager_class=OwnKernel,
            )  # fmt: skip
        except PapermillExecutionError as error:
            os.replace(result, failed)
            message = str(error.evalue).strip().splitlines() or [""]
            return f"{error.ename}: {' '.join(message)} (see {failed})"
        except DeadKernelError:
            os.replace(result, failed)
            return (
                "the notebook's Python process was killed, most often for want of memory; take "
                f"a smaller batch_size or fewer CORES (see {failed})"
            )
        failed.unlink(missing_ok=True)
        os.replace(result, output)
    return None


def device(count: int, held: ExitStack) -> str:
    """One accelerator of `count`: the first that no other notebook of this checkout has.

    Kept for this process by a lock of the operating system, until `held` is closed or the process ends.
    Where others have all, as with a second study, the first is shared.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = (visible.split(",") if visible else [str(number) for number in range(count)])[:count]
    LOCKS.mkdir(exist_ok=True)
    for name in names:
        lock = os.open(LOCKS / f"device-{name}.lock", os.O_CREAT | os.O_WRONLY)
        held.callback(os.close, lock)
        with suppress(OSError):  # another notebook has it, or the file system has no locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name
    return names[0]


def main() -> int:
    """Command line; 1 if the notebook failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", help="name in notebooks/, without its ending")
    parser.add_argument("--output", type=Path, required=True, help="executed notebook to write")
    parser.add_argument("--parameters", type=json.loads, default={}, help="JSON object")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # outputs of cells, as they come
    try:
        with ExitStack() as held:
            if (count := int(os.environ.get("STUDY_DEVICES", 0))) > 1:
                os.environ["CUDA_VISIBLE_DEVICES"] = device(count, held)
            reason = execute(options.notebook, options.output, options.parameters)
    except OSError as error:  # of papermill, which writes after every cell
        reason = (
            f"{error.filename or options.output}: {error.strerror}; free some space or check the permissions "
            "of the folder, then run again"
        )
    if reason:
        print(f"error: {options.output.stem}: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
