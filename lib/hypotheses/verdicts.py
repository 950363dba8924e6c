"""Verdicts on the hypotheses, with their numbers.

The rules are those of ``params/hypotheses.yml``; the families of tests are tables of `families`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from lib.hypotheses.families import (
    CELL_KEYS,
    Statement,
    crossing_table,
    identity_table,
    statement_table,
)
from lib.hypotheses.observations import Observations
from lib.hypotheses.stated import Hypotheses, Hypothesis, Identity, Reversal
from lib.study.names import label

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "inconclusive"
UNDEFINED = "undefined"
NOT_EVALUATED = "not evaluated"
VERDICTS = (SUPPORTED, REFUTED, UNDEFINED, OPEN, NOT_EVALUATED)
Observed = Mapping[str, Observations | None]
"""Observations by table: "pairs", "seed_agreement", "lesion_gain", "shortcut"; None where the study
has no such table."""


@dataclass(frozen=True)
class Verdict:
    """Answer to one hypothesis.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`; "undefined" where no cell has maps enough, "not evaluated" only where
        what the hypothesis needs is not part of the study.
    sentence : str
        In plain language, with the numbers that decide.
    reasons : tuple of str
        Why cells could not be judged, or have no maps.
    seed_level : str
        Whether the spread between seeds is part of the intervals.
    tables : dict of name to DataFrame
        The family of tests ("family") and what else the rule looks at.
    without : dict of seed to verdict
        The verdict without each seed in turn; empty below four seeds.
    """

    name: str
    question: str
    verdict: str
    sentence: str
    reasons: tuple[str, ...] = ()
    seed_level: str = "not estimated"
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    without: dict[int, str] = field(default_factory=dict)

    def as_json(self) -> dict:
        """Plain JSON values; a number that does not exist is null, digits beyond six are cut."""
        tables = {
            name: [{key: _plain(value) for key, value in row.items()} for row in rows]
            for name, table in self.tables.items()
            for rows in [table.to_dict("records")]
        }
        return {
            "question": self.question,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "seed_level": self.seed_level,
            "without_seed": {str(seed): verdict for seed, verdict in self.without.items()},
            **tables,
        }


def _plain(value):
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < float("inf") else None  # also for NaN
    return value.item() if hasattr(value, "item") else value


def evaluate(
    hypotheses: Hypotheses,
    observed: Observed,
    *,
    grids: Mapping[str, int],
    priors: pd.DataFrame,
) -> list[Verdict]:
    """Answer all hypotheses, also without each seed in turn where there are four or more.

    Parameters
    ----------
    observed : mapping of table to Observations
        See `Observed`.
    grids : mapping of architecture to int
        Side of the final map in squares, of the architectures of the study; those of a hypothesis
        that the study does not have are left out of its family.
    priors : DataFrame
        From `lib.drift.priors.prior_table`, for the grids of the study; stands beside H4.

    Returns
    -------
    list of Verdict
        H1 to H6.
    """
    fewer: dict[int, Observed] = {}
    for seed in sorted({s for each in observed.values() if each for s in each.seeds}):
        fewer[seed] = {name: each and each.without(seed) for name, each in observed.items()}
    found = []
    for name, stated in hypotheses.rules.items():
        kept = tuple(a for a in stated.architectures if a in grids)
        hypothesis = stated.model_copy(update={"architectures": kept})
        verdict = judge(name, hypothesis, observed, grids=grids, priors=priors)
        if len(fewer) > 3 and len(fewer) in hypothesis.looks:
            looks = {len(fewer) - 1: hypothesis.looks[len(fewer)]}
            hypothesis = hypothesis.model_copy(update={"looks": looks})
            verdict = _with_others(verdict, {
                seed: judge(name, hypothesis, left, grids=grids, priors=priors).verdict
                for seed, left in fewer.items()
            })  # fmt: skip
        found.append(verdict)
    return found


def judge(
    name: str, hypothesis: Hypothesis, observed: Observed, *, grids: Mapping[str, int],
    priors: pd.DataFrame,
) -> Verdict:  # fmt: skip
    """Answer one hypothesis, "H1" to "H6"."""
    table, why = NEEDS[name]
    if observed.get(table) is None:
        return _short(name, hypothesis, NOT_EVALUATED, why)
    parts = hypothesis.roles, hypothesis.methods
    observed = {name: each and each.of(*parts) for name, each in observed.items()}
    least = 2 if isinstance(hypothesis, Reversal) else 1
    if len(hypothesis.architectures) < least:
        count = len(hypothesis.architectures)
        why = f"the study has {count} of its architectures, at least {least} are needed"
        return _short(name, hypothesis, OPEN, why)
    if isinstance(hypothesis, Reversal):
        return _reversal(name, hypothesis, observed[table], grids)
    if isinstance(hypothesis, Identity):
        return _identity(name, hypothesis, observed[table])
    verdict = _statements(name, hypothesis, observed)
    if name == "H4":
        of_metric = priors[priors["metric"] == hypothesis.metric]
        verdict.tables["prior"] = of_metric.drop(columns="exact").reset_index(drop=True)
    return verdict


NEEDS = {
    **dict.fromkeys(("H1", "H2", "H3", "H4"), ("pairs", "no maps were compared")),
    "H5": ("shortcut", "the study has no shortcut experiment (no tables/shortcut.csv)"),
    "H6": ("lesion_gain", "no lesions are known (no row in tables/lesion_gain.csv)"),
}
"""The table that each hypothesis needs, and what is said where the study has none."""
CLAIM = {
    "H1": "fine-tuning moves the evidence, and in the same way whatever the seed",
    "H4": "the centre of the evidence stays nearer than that of unrelated films",
    "H5": "evidence moves to the lesion, and more than where the shortcut was kept",
    "H6": "evidence moves onto the lesion, and more than with the placebo",
}
STATEMENT = {
    "drift": "drift beyond the placebo",
    "agreement": "partial agreement of two seeds",
    "shift": "shift of the centroid beyond the placebo",
    "gain": "gain in the lesion",
    "shortcut_kept": "gain beyond the runs that kept the shortcut",
    "placebo": "gain beyond the placebo",
}


def statements(name: str, hypothesis: Hypothesis, observed: Observed) -> dict[str, Callable]:
    """The statements of a hypothesis about all of its cells, for `families.statement_table`."""
    here, metric = observed[NEEDS[name][0]], hypothesis.metric
    pairs_of_seeds = observed.get("seed_agreement")  # none with one seed, which is no look

    def way(cell: tuple, share: float) -> dict:
        sign = -share if hypothesis.similarity else share
        return {(*cell, "ceiling"): sign, (*cell, "placebo"): -sign}

    def difference(cell: tuple, first: str, second: str) -> dict:
        return {(*cell, first): 1, (*cell, second): -1}

    def moved(*cell):
        effect = difference(cell, "finetune", "placebo")
        return Statement(here, metric, effect, way(cell, hypothesis.least_way))

    def agrees(*cell):
        effect = {(*cell, "finetune_seeds"): 1}
        return Statement(pairs_of_seeds, "partial", effect, constant=hypothesis.least_agreement)

    def stays(*cell):
        effect = difference(cell, "finetune", "placebo")
        return Statement(here, metric, effect, way(cell, hypothesis.most_way), turned=True)

    def gains(*pairings: str):
        def of(*cell):
            effect = dict(zip([(*cell, p) for p in pairings], (1, -1), strict=False))
            return Statement(here, metric, effect, constant=hypothesis.least_gain)

        return of

    return {
        "H1": {"drift": moved} | ({"agreement": agrees} if pairs_of_seeds else {}),
        "H4": {"shift": stays},
        "H5": {
            "gain": gains("shortcut_removed"),
            "shortcut_kept": gains("shortcut_removed", "shortcut_kept"),
        },
        "H6": {"placebo": gains("finetune", "placebo")},
    }[name]


def settle(shown, refuted) -> str:
    """Verdict on a claim about all cells: one refutes it, all must show it."""
    if any(refuted):
        return REFUTED
    return SUPPORTED if len(shown) and all(shown) else OPEN


def _statements(name: str, hypothesis: Hypothesis, observed: Observed) -> Verdict:
    """H1, H4, H5 and H6: statements that all defined cells must show."""
    here = observed[NEEDS[name][0]]
    table = statement_table(hypothesis, here, statements(name, hypothesis, observed))
    defined = table[table["undefined"] == ""]
    cells = defined.drop_duplicates(CELL_KEYS)
    count, shown, refuted = len(cells), cells["shown"], cells["refuted"]
    if not count:
        return _told(name, hypothesis, UNDEFINED, "", table)
    verdict, text = settle(shown, refuted), ""
    if verdict == SUPPORTED:
        text = f"in all {count} cells {CLAIM[name]}; least certain: {_row(defined, 'p_shown')}"
    elif verdict == REFUTED:
        against = defined[defined["refuted"]]
        text = f"in {refuted.sum()} of {count} cells it is not so that {CLAIM[name]}; clearest: "
        text += _row(against, "p_refuted")
    elif defined["problem"].eq("").any():
        text = f"in {shown.sum()} of {count} cells it is shown that {CLAIM[name]}, and no cell "
        text += "refutes it"
    return _told(name, hypothesis, verdict, text, table)


def _row(rows: pd.DataFrame, test: str) -> str:
    """The statement that decides: the weakest that is shown, the clearest that is refuted."""
    place = rows[test].idxmax() if test == "p_shown" else rows[test].idxmin()
    row = rows.loc[place]
    value = row["p_shown"] if test == "p_shown" else row["p_refuted_adjusted"]
    return (
        f"{STATEMENT[row['statement']]} {interval(row)}, threshold {row['threshold']:.3f}, "
        f"{label(row['architecture'], row['method'])} at {row['role']} ({p_text(value)})"
    )


def _reversal(
    name: str, hypothesis: Reversal, observed: Observations, grids: Mapping[str, int]
) -> Verdict:
    """H2: the difference of two architectures changes its sign with the method, in some pair."""
    table = crossing_table(observed, hypothesis, grids)
    defined = table[table["undefined"] == ""]
    if defined.empty:
        return _told(name, hypothesis, UNDEFINED, "", table)
    crossing, excluded = defined["crosses"].sum(), defined["ruled_out"].sum()
    verdict, text = OPEN, ""
    if crossing:
        verdict, row = SUPPORTED, defined.loc[defined["p_cross_adjusted"].idxmin()]
        text = f"{crossing} of {len(defined)} pairs of architectures change their order with the "
        text += f"method; in {hypothesis.metric}, clearest {effects(row, row['p_cross_adjusted'])}"
    elif excluded == len(defined):
        verdict, row = REFUTED, defined.loc[defined["p_ruled_out"].idxmax()]
        pairs = f"all {len(defined)} pairs" if len(defined) > 1 else "the one pair"
        text = f"a reversal beyond the margin is ruled out in {pairs} of architectures with maps; "
        text += f"in {hypothesis.metric}, nearest to one {effects(row, row['p_ruled_out'])}"
    elif defined["problem"].eq("").any():
        text = f"no pair of {len(defined)} is shown to change its order with the method, and only "
        text += f"in {excluded} a reversal beyond the margin is ruled out"
    return _told(name, hypothesis, verdict, text, table)


def _identity(name: str, hypothesis: Identity, observed: Observations) -> Verdict:
    """H3: two methods agree film by film."""
    table = identity_table(observed, hypothesis)
    broken = table["exceeding"] + table["blank_in_one"] > 0
    verdict = settle((table["problem"] == "") & ~broken, broken)
    text = ""
    if table["largest"].notna().any():
        text = (
            f"the methods were compared on {table['pairs'].sum()} pairs of maps and differ by at "
        )
        text += f"most {table['largest'].max():.2g} in {hypothesis.metric} "
        text += f"({table['exceeding'].sum()} beyond the tolerance {hypothesis.tolerance:g})"
    if table["blank_in_one"].any():
        text += f"; {table['blank_in_one'].sum()} are blank under one method only"
    reasons = tuple(dict.fromkeys("; ".join(filter(None, table["problem"])).split("; ")))
    reasons = tuple(filter(None, reasons))
    because = f"not judged: {reasons[0]}" if reasons else ""
    told = "; ".join(filter(None, (text, because)))
    sentence = f"{name} is {verdict}: {told}."
    seed_level = "an identity of formulas, for which seeds do not matter"
    facts = {"reasons": reasons, "seed_level": seed_level, "tables": {"family": table}}
    return Verdict(name, hypothesis.question, verdict, sentence, **facts)


def _with_others(verdict: Verdict, without: dict[int, str]) -> Verdict:
    """The verdict, and beside it those without one seed at a time."""
    others = [f"{v} without seed {s}" for s, v in without.items() if v != verdict.verdict]
    told = ", ".join(others) if others else "the same without any one seed"
    return replace(verdict, without=without, sentence=f"{verdict.sentence[:-1]}; {told}.")


def _short(name: str, hypothesis: Hypothesis, verdict: str, why: str) -> Verdict:
    return Verdict(name, hypothesis.question, verdict, f"{name} is {verdict}: {why}.", (why,))


def _told(name: str, hypothesis: Hypothesis, verdict: str, text: str, table) -> Verdict:
    """A verdict with its sentence: what decides, what is not defined, and why not more."""
    problems, missing = (
        list(dict.fromkeys(part for found in table[key] for part in found.split("; ") if part))
        for key in ("problem", "undefined")
    )
    usable = table[(table["problem"] == "") & (table["undefined"] == "")]
    seed_level = "; ".join((usable if len(usable) else table)["seed_level"].unique())
    if not text and verdict == OPEN:
        text = "no cell can be judged"
    notes = [text, _first("no map, so no answer, in", missing), _first("not judged", problems)]
    if text and len(usable):
        notes.append(f"intervals: {100 * hypothesis.level:g} %")
    if "not estimated" in seed_level and verdict != UNDEFINED:
        notes.append("seed level not estimated, so nothing is said about other seeds")
    sentence = f"{name} is {verdict}: {'; '.join(filter(None, notes))}."
    reasons = (*problems, *missing)
    tables = {"family": table}
    return Verdict(name, hypothesis.question, verdict, sentence, reasons, seed_level, tables)


def _first(what: str, reasons: list[str]) -> str:
    more = f" (and {len(reasons) - 1} more in verdicts.json)" if len(reasons) > 1 else ""
    return f"{what}: {reasons[0]}{more}" if reasons else ""


def p_text(value: float) -> str:
    """A p-value as it is written in a sentence."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def interval(row: pd.Series, name: str = "estimate") -> str:
    """An estimate with its interval."""
    prefix = "" if name == "estimate" else f"{name}_"
    value, low, high = (
        f"{row[key]:.3f}".replace("-0.000", "0.000")
        for key in (name, prefix + "low", prefix + "high")
    )
    return f"{value} ({low} to {high})"


def effects(row: pd.Series, p_value: float) -> str:
    """A row of `lib.hypotheses.families.crossing_table`: the two simple effects."""
    parts = " and ".join(
        f"{interval(row, f'effect_{side}')} with {label('', row[f'method_{side}'])}"
        for side in "ab"
    )
    return (
        f"{label(row['first'])} less {label(row['second'])}: {parts} ({p_text(p_value)}, "
        f"margin {row['margin']:.3f})"
    )
