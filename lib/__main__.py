"""The commands behind the Makefile: ``python -m lib VERB``, each with ``--help``."""

import argparse
import os
import socket
import sys
from functools import partial
from pathlib import Path

import yaml

from lib.checkpoint_audit import params as audit_params
from lib.checkpoint_audit import run as audit_run
from lib.data.films.treat import check_masks
from lib.data.index import read_index
from lib.data.privacy import read_salt
from lib.hypotheses import stated
from lib.models.weights import SHIPPED, shipped_file
from lib.published import duration, front, publish, recompute, verify
from lib.report import digest
from lib.study import running
from lib.study.architectures import ARCHITECTURES
from lib.study.artefacts import write_text
from lib.study.errors import ArtefactError, DataError, ParamsError
from lib.study.load import load, merge, parse_overrides
from lib.study.params import Params
from lib.study.paths import ROOT, StudyPaths, resolve


def check_data(params: Params) -> int:
    """Read the index of the films, so that a wrong path or a missing class fails at once.

    Returns
    -------
    int
        Number of films; of phantoms the expected one.

    Raises
    ------
    ParamsError
        As `lib.data.index.read_index` says.
    """
    if params.data.source == "DATA":
        raise ParamsError(
            f"{params.study}.yml: data.source is not set, and this study needs films of yours. "
            f"Say where: make reproduce STUDY={params.study} DATA=<folder of class folders | "
            "manifest.csv>"
        )
    if params.data.source == "phantom":
        return duration.films(params)
    names = params.data.model_dump(include={"labels", "other_labels"})
    try:
        films = read_index(resolve(params.data.source), classes=params.classes, **names)
        check_masks(films, params.data.remedies)
        read_salt(params.data.salt_file)
    except DataError as error:
        raise ParamsError(str(error)) from None
    return len(films)


def check_weights(params: Params) -> None:
    """Fail at the start where the weights that are asked for cannot be had.

    Raises
    ------
    ParamsError
        If ImageNet weights are neither in the Keras cache nor can be downloaded, or shipped ones
        are missing.
    """
    absent = [name for name in params.architectures if not shipped_file(name).is_file()]
    if params.weights.source == "drawn" and absent:
        raise ParamsError(
            f"weights.source = 'drawn': no file for {', '.join(absent)} in {SHIPPED}. Three ways "
            "out: git checkout -- lib/models/shipped, where the repository has it; make "
            f'source-weights BACKBONES="{" ".join(absent)}", an hour each on a processor, and copy '
            "results/source/out/* there; or set weights.source=fractal."
        )
    if params.weights.source != "imagenet":
        return
    home = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
    missing = [
        ARCHITECTURES[name].title
        for name in params.architectures
        if not list((home / "models").glob(f"{ARCHITECTURES[name].weights_stem}_*notop*.h5"))
    ]
    if missing and not _online():
        raise ParamsError(
            f"weights.source = 'imagenet': no weights of {', '.join(missing)} in {home / 'models'} "
            "and no network to fetch them. Two ways out: run once with a network (Keras caches "
            "them), or set weights.source=file and weights.files to copies of your own; "
            "weights.source=fractal needs no download."
        )


def check_checkout() -> None:
    """Raise a ParamsError at the start where Snakemake could not keep its records."""
    records = ROOT / ".snakemake"
    if not os.access(records if records.exists() else ROOT, os.W_OK):
        raise ParamsError(
            f"{records}: found no right to write, expected it: Snakemake keeps its records there. "
            "Run from a copy of the checkout in a folder of yours."
        )


def _online() -> bool:
    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=5).close()
    except OSError:
        return False
    return True


def _resolved(options: argparse.Namespace) -> tuple[Params, int]:
    """Parameters of a study, checked, and the number of its films."""
    overrides = parse_overrides(options.set)
    if options.data:
        overrides = merge({"data": {"source": options.data}}, overrides)
    params = load(options.study, overrides)
    count = check_data(params)
    if not options.plan:
        check_weights(params)
    return params, count


def _text(params: Params) -> str:
    return yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _plan(options: argparse.Namespace) -> None:
    check_checkout()
    params, count = _resolved(options)
    write_text(options.write, _text(params))
    print(duration.plan(params, stated.load(), count=count, cores=options.cores), end="\n\n")


def _params(options: argparse.Namespace) -> None:
    text = _text(_resolved(options)[0])
    if options.write:
        write_text(options.write, text)
    else:
        print(text, end="")


def _run(options: argparse.Namespace) -> int:
    if not options.after_dashes:
        raise ParamsError("run: found no command; expected one after --")
    check_checkout()
    params, count = _resolved(options)
    paths = StudyPaths(options.results, options.study)
    # Not before the folder is held: a run that goes on there has these parameters.
    write = partial(write_text, paths.root / "params.yml", _text(params))
    progress = duration.Progress(paths, duration.steps(params, count=count), options.cores)
    return running.run(
        paths.root, options.after_dashes, prepare=write, parent=options.parent,
        status=progress.line,
    )  # fmt: skip


def _source_weights(options: argparse.Namespace) -> None:
    if unknown := sorted(set(options.backbones) - set(ARCHITECTURES)):
        raise ParamsError(f"{', '.join(unknown)}: expected some of {', '.join(ARCHITECTURES)}")
    from lib.models import source_weights  # here: TensorFlow takes seconds that no other verb needs

    names = options.backbones or list(ARCHITECTURES)
    source_weights.make(names, options.root, real=options.real)


def _overview(options: argparse.Namespace) -> None:
    print(digest.text(StudyPaths(options.results, options.study)))


def _publish(options: argparse.Namespace) -> None:
    paths = StudyPaths(options.results, options.study)
    publish.publish(paths, command=options.command, name=options.name)


def _pages(options: argparse.Namespace) -> None:
    print("\n".join(front.renew() or ["README.md and the published pages are made anew"]))


def _verify(options: argparse.Namespace) -> None:
    paths = StudyPaths(options.results, options.study)
    print(verify.verify(paths, reference=options.reference))


def _judge(options: argparse.Namespace) -> None:
    folder = options.reference or ROOT / "results" / "reference" / options.study
    print("\n".join(verdict.sentence for verdict in recompute.judge(folder)))


def _audit(options: argparse.Namespace) -> int:
    results = resolve(options.results)
    words = {key: getattr(options, key) for key in audit_params.WORDS}
    params = audit_params.from_words(words, results=results, overrides=options.set)
    return audit_run.run(params, results, only_check=options.only_check)


def _audit_report(options: argparse.Namespace) -> int:
    return audit_run.report(options.folder.absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name, run, help, *, study=True):
        command = verbs.add_parser(name, help=help, description=help)
        command.set_defaults(run=run)
        if study:
            command.add_argument("study", help="name of a file in params/")
        return command

    command = verb("params", _params, "resolve and check the parameters of a study")
    command.add_argument("--data", default="", help="folder of class folders, or manifest.csv")
    command.add_argument("--set", default="", help='overrides: "seeds=[0,1,2] finetune.epochs=5"')
    command.add_argument("--write", type=Path, help="write the parameters to this file")
    command.set_defaults(plan=False)

    command = verb("run", _run, "run a command (after --) alone in the folder of a study")
    command.add_argument("--data", default="", help="as of params")
    command.add_argument("--set", default="", help="as of params")
    command.add_argument("--results", default="results")
    command.add_argument("--parent", type=int, default=0, help="process with which the run ends")
    command.add_argument("--cores", type=int, default=1, help="processors at work")
    command.set_defaults(plan=False)

    command = verb("plan", _plan, "how long a study takes, and what it can judge")
    command.add_argument("--data", default="", help="as of params")
    command.add_argument("--set", default="", help="as of params")
    command.add_argument("--write", type=Path, required=True, help="write the parameters there")
    command.add_argument("--cores", type=int, default=1, help="processors at work")
    command.set_defaults(plan=True)

    command = verb("source-weights", _source_weights, "train the shipped weights", study=False)
    command.add_argument("backbones", nargs="*", metavar="BACKBONE")
    command.add_argument("--root", type=Path, default=Path("results/source"), help="films, states")
    command.add_argument("--real", default="", help="manifest of real films to probe too")

    command = verb("overview", _overview, "the last words of a run: numbers, and where to look")
    command.add_argument("--results", default="results")

    command = verb("publish", _publish, "copy a finished study into results/reference")
    command.add_argument("--results", default="results")
    command.add_argument("--command", required=True, help="the command that made the study")
    command.add_argument("--name", default="", help="folder, if not the name of the study")

    verb("pages", _pages, "make README and the published pages anew", study=False)

    command = verb("verify", _verify, "compare a finished study with the published one")
    command.add_argument("--results", default="results")
    command.add_argument("--reference", type=Path, help="(default: results/reference/STUDY)")

    command = verb("judge", _judge, "verdicts of a published study from its published pairs")
    command.add_argument("--reference", type=Path, help="(default: results/reference/STUDY)")

    command = verb("audit", _audit, "did the evidence of a model move?", study=False)
    for word in (*audit_params.WORDS, "set"):
        command.add_argument(f"--{word.replace('_', '-')}", default="")
    command.add_argument("--results", default="results")
    command.add_argument("--only-check", action="store_true", help="check what is told and stop")

    command = verb("audit-report", _audit_report, "write the report of an audit", study=False)
    command.add_argument("folder", type=Path, help="folder of an audit")
    return parser


def _check_words(*words: str) -> None:
    """Refuse a home that nobody has, and bytes that are no text: no notebook can hold them."""
    for word in words:
        if (shown := word.encode(errors="backslashreplace").decode()) != word:
            raise ParamsError(
                f"{shown}: found bytes that are no UTF-8, expected a path or value in UTF-8. "
                "Rename the folder, or name a link to it that has another name."
            )
        if word.startswith("~") and os.path.expanduser(word) == word:
            raise ParamsError(f"{word}: found no home of that name, expected a path that exists.")


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; 0 if all is well, 2 with the reason where it cannot be done.

    An audit under a rule: 0 passed, 1 failed, 2 cannot be told.
    """
    words = sys.argv[1:] if arguments is None else arguments
    # By hand: argparse treats a second "--", as Snakemake has one, differently in each Python.
    cut = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:cut])
    options.after_dashes = words[cut + 1 :]
    try:
        _check_words(str(ROOT), *words)
        return options.run(options) or 0
    except (ParamsError, ArtefactError, OSError) as error:
        told = str(error)
        if isinstance(error, OSError) and error.filename:
            told = (
                f"{error.filename}: {error.strerror}. Free some space, check the permissions of "
                "the folder, or name another one by RESULTS, then run again."
            )
        print(f"error: {told}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
