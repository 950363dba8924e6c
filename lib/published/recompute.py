"""What a published study was judged from, film by film, and its verdicts made anew from that.

Phantoms are nobody's films, so their compared pairs are published: anyone can check a verdict, or
put another rule to the same pairs, without training a network.
"""

import json
from pathlib import Path

from lib.hypotheses import power as power_of
from lib.hypotheses import verdicts
from lib.hypotheses.observations import Observations
from lib.hypotheses.stated import Hypotheses
from lib.study.architectures import ARCHITECTURES
from lib.study.artefacts import atomic, read_table, write_table
from lib.study.errors import ArtefactError
from lib.study.paths import StudyPaths
from lib.study.schema import CELL

FILMS = "films.csv"
_KEYS = [*CELL, "before", "after", "image_id", "partner_id", "common", "own"]
_GAIN = ["lesion_gain"]
_VALUES = {"seed_agreement": ["partial"], "lesion_gain": _GAIN, "shortcut": _GAIN}


def rules_of(file: Path) -> Hypotheses:
    """The rules that a study was judged by, from its ``verdicts.json``: those of its day."""
    answers = json.loads(file.read_text(encoding="utf-8"))
    return Hypotheses.model_validate_json(json.dumps(answers["rules"]))


def write(paths: StudyPaths, folder: Path) -> None:
    """Write what the rules of a study look at: pairs, ``<table>.csv.xz``, and its `FILMS`.

    Cells and metrics of no rule are left out.
    """
    rules = rules_of(paths.verdicts)
    folder.mkdir(parents=True)
    films = read_table(paths.manifest).query("split == 'test'")
    write_table(folder / FILMS, films[["image_id", "patient_id", "label"]])
    for table in _tables(rules):
        file = paths.tables / f"{table}.csv"
        if not file.exists() or (pairs := read_table(file)).empty:
            continue
        asked = [rule for name, rule in rules.rules.items() if table in _needs(name)]
        cells = {(role, method) for r in asked for role in r.roles for method in r.methods}
        kept = [cell in cells for cell in zip(pairs["role"], pairs["method"], strict=True)]
        values = _VALUES.get(table) or list(dict.fromkeys(rule.metric for rule in asked))
        with atomic(folder / f"{table}.csv.xz") as temporary:
            pairs.loc[kept, [*_KEYS, *values]].to_csv(
                temporary, index=False, float_format="%.6g", lineterminator="\n", compression="xz"
            )


def _needs(name: str) -> tuple[str, ...]:
    return (verdicts.NEEDS[name][0], *(["seed_agreement"] if name == "H1" else []))


def _tables(rules: Hypotheses) -> list[str]:
    return list(dict.fromkeys(table for name in rules.rules for table in _needs(name)))


def observed(folder: Path, rules: Hypotheses) -> dict[str, Observations]:
    """What rules look at, from the published pairs of a study; nothing where it has none."""
    source = Path(folder) / "pairs"
    if not (source / FILMS).exists():
        return {}
    films = read_table(source / FILMS).set_index("image_id")
    return {
        table: Observations.from_tables(
            read_table(file), films["patient_id"], support="own", labels=films["label"]
        )
        for table in _tables(rules)
        if (file := source / f"{table}.csv.xz").exists()
    }


def power(folder: Path, rules: Hypotheses, *, seeds: int, films: float) -> dict[str, str]:
    """The smallest effects that a study of so many seeds and test films could show, by hypothesis.

    By the spread of a published one, in words; empty where no pairs are published.
    """
    given = observed(folder, rules)
    if not given:
        return {}
    then = len(read_table(Path(folder) / "pairs" / FILMS))
    return power_of.told(rules, given, seeds=seeds, more_films=films / then)


def judge(folder: Path, rules: Hypotheses | None = None) -> list[verdicts.Verdict]:
    """The verdicts of a published study from its published pairs, by its rules or by others.

    Other rules may ask for the cells and metrics that the pairs have; real films keep theirs.
    """
    source = Path(folder) / "pairs"
    if not (source / FILMS).exists():
        raise ArtefactError(
            f"{source}: no pairs are published there; expected {FILMS} and <table>.csv.xz. Studies "
            "of phantoms have them."
        )
    rules = rules or rules_of(Path(folder) / "verdicts.json")
    given = observed(folder, rules)
    origin = json.loads((Path(folder) / "provenance.json").read_text(encoding="utf-8"))
    parameters = origin["parameters"]
    grids = {
        name: ARCHITECTURES[name].grid(parameters["input_size"][name])
        for name in parameters["architectures"]
    }
    priors = read_table(Path(folder) / "tables/priors.csv")
    return verdicts.evaluate(rules, given, grids=grids, priors=priors)
