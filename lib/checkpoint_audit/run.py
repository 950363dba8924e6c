"""One audit from its parameters to its pages: maps, then a notebook and a report per question."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from lib.checkpoint_audit import films as audited_films
from lib.checkpoint_audit import given, labels, questions, rule
from lib.checkpoint_audit import report as pages
from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.checkpoint_audit.params import AuditParams, hide, recorded
from lib.data.audit.summary import SEVERITIES
from lib.data.privacy import read_salt
from lib.study.artefacts import begin, sha256, write_json, write_table
from lib.study.errors import DataError, ParamsError
from lib.study.paths import ROOT, StudyPaths, resolve

MAPS, PAIR = "A4_audit_maps", "A4_audit_pair"
_AT_ONCE = 4  # questions that are answered at the same time, a process each
_FINDINGS = tuple(f"{severity}: " for severity in SEVERITIES)
_SIZE = 224  # pixels on a side in which films are shown where no model says which it takes


def run(params: AuditParams, results: Path, *, only_check: bool = False) -> int:
    """Make an audit; the exit code of its rule, or 2 where it cannot be made.

    A ParamsError if films, or maps that were made elsewhere, are not as they must be.
    """
    paths = StudyPaths(results, params.study)
    try:
        audited_films.check(params)
        told = hide(params.model_dump(mode="json", exclude_unset=True))
        told = {"settings": told, "results": str(results)}
        write_json(paths.root / "parameters.json", told)
        if only_check:
            return 0
        if params.maps:
            take(params, paths)
    except (DataError, CheckpointRefused) as error:
        if params.data.salt_file:
            _forget(paths, MAPS)
        raise ParamsError(str(error)) from None
    private = bool(params.data.salt_file)
    if not params.maps and not _say(*_executed(MAPS, paths, told, private=private)):
        return 2
    asked = questions.read_all(paths.root)

    def answer(folder: Path) -> tuple[bool, list[str]]:
        own = StudyPaths(folder.parent, folder.name)
        return _executed(PAIR, own, {"folder": str(folder)}, private=private)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, _AT_ONCE)) as pool:
        answers = pool.map(answer, [folder for folder, _ in asked])
        for (folder, question), done in zip(asked, answers, strict=True):
            if question.folder != ".":
                print(f"\n{question.title}")
            if not _say(*done):
                return 2
            print(f"Tables, figures and the notebook: {folder}")
    return report(paths.root)


def _executed(
    name: str, paths: StudyPaths, parameters: dict, *, private: bool
) -> tuple[bool, list[str]]:
    """Run a notebook; whether it ran, and its findings, or why it failed."""
    # Not through Snakemake: notebooks on files that no rule makes have nothing to put in order.
    log = paths.root / "audit.log"
    command = [sys.executable, str(ROOT / "notebooks/execute.py"), name]
    command += ["--output", str(paths.notebook(name)), "--parameters", json.dumps(parameters)]
    with log.open("a" if name == PAIR else "w", encoding="utf-8") as output:
        start = output.tell()
        failed = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    if private:
        _forget(paths, name)
    if failed:
        return False, [line for line in lines if line.startswith("error: ")] or lines[-3:]
    return True, [line for line in lines if line.startswith(_FINDINGS)]


def _say(ran: bool, lines: list[str]) -> bool:
    """Print what a notebook said, a failure as an error; whether it ran."""
    if lines:
        print(*lines, sep="\n", file=None if ran else sys.stderr)
    return ran


def _forget(paths: StudyPaths, name: str) -> None:
    """Delete what a run says beside its results: errors and warnings quote names and headers."""
    executed = paths.notebook(name)
    journals = [*paths.data.rglob(".partial-*")]
    for file in (paths.root / "audit.log", executed.with_suffix(".failed.ipynb"), *journals):
        file.unlink(missing_ok=True)
    if executed.exists():
        import nbformat  # here: it takes seconds, and few audits need it

        notebook = nbformat.read(executed, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
        nbformat.write(notebook, executed)


def report(root: Path) -> int:
    """Write the pages of an audit that is complete; the worst exit code of its questions."""
    asked, codes = questions.read_all(root), []
    for folder, question in asked:
        page = pages.write(StudyPaths(folder.parent, folder.name), question)
        codes.append(rule.exit_code(folder))
        if codes[-1]:
            file = folder / rule.FILES[0]
            print(f"rule: {rule.VERDICTS[codes[-1]]}; see {file}", file=sys.stderr)
    if len(asked) > 1:
        page = pages.write_overview(StudyPaths(root.parent, root.name))
    print(f"Report, with the maps of every film: {page}")
    return 1 if 1 in codes else max(codes)  # a question that failed is worse than an open one


def take(params: AuditParams, paths: StudyPaths) -> None:
    """Write the questions of an audit from maps that were made elsewhere, or refuse these."""
    files = list(map(resolve, params.versions))
    hashes = list(map(_digest, files))
    known = recorded(params) | {"files": hashes}
    size = params.size or _SIZE
    record = begin(paths.manifest, parameters=known)
    manifest, rejected, classes = audited_films.read_films(params, size=size, folder=paths.data)
    salt = read_salt(params.data.salt_file)
    versions = [
        given.read(file, manifest, classes=classes, findings=bool(params.findings), salt=salt)
        for file in files
    ]
    versions, said = given.common_films(versions, params.words, manifest)
    own = versions[0].own
    there = manifest["image_id"].isin(own.image_id)
    if not there.all():
        said.append(f"{(~there).sum()} of {len(there)} films have no maps and are left out.")
    manifest = manifest[there].reset_index(drop=True)
    write_table(paths.manifest, manifest)
    write_table(paths.data / "rejected.csv", rejected)
    record.complete(paths.images(size), paths.data / "rejected.csv")
    status = labels.explained_rows(manifest["label"], classes, params)[0]
    told = pd.DataFrame({"file": params.files, "sha256": hashes, "maps": "made elsewhere"})
    cells = [[role, method, *stack.shape[1:]] for (role, method), stack in own.maps.items()]
    layers = pd.DataFrame(cells, columns=["layer", "method", "height", "width"])
    if status is not None:
        first = ~pd.Series(own.image_id).duplicated().to_numpy()
        tables = {
            word: labels.output_table(version.own.logits[first], status, classes)
            for word, version in zip(params.words, versions, strict=True)
        }
        said += labels.output_warnings(tables)
    questions.ask(
        paths, versions, manifest, files=params.files, classes=classes, architecture="model",
        settings=known, tables={"checkpoints": told, "layers": layers.assign(explained=True)},
        status=status, said=said,
    )  # fmt: skip


def _digest(path: Path) -> str:
    """SHA-256 of a file, or the beginnings of those of the arrays of a folder, in order of name."""
    arrays = sorted(path.rglob("*.npy"))
    return "+".join(sha256(file)[:16] for file in arrays) if path.is_dir() else sha256(path)
