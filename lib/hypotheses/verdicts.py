"""Verdicts on the hypotheses, with their numbers.

The rules are those of ``params/hypotheses.yml``; the families of tests are tables of `families`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from lib.hypotheses.answers import (
    NOT_EVALUATED,
    OPEN,
    REFUTED,
    SUPPORTED,
    UNDEFINED,
    Verdict,
    effects,
    interval,
    p_text,
)
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

Observed = Mapping[str, Observations | None]
"""Observations by table: "pairs", "seed_agreement", "lesion_gain", "shortcut"; None where the study
has no such table."""
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


def evaluate(
    hypotheses: Hypotheses, observed: Observed, *, grids: Mapping[str, int], priors: pd.DataFrame
) -> list[Verdict]:
    """Answer all hypotheses, also without each seed in turn where there are four or more.

    Parameters
    ----------
    hypotheses, observed : Hypotheses, Observed
    grids : mapping of architecture to int
        Side of the final map in squares, of the architectures of the study; those of a hypothesis
        that the study does not have are left out of its family.
    priors : DataFrame
        From `lib.drift.priors.prior_table`, for the grids of the study; stands beside H4.
    """
    seeds = sorted({seed for each in observed.values() if each for seed in each.seeds})
    fewer = {
        seed: {name: each and each.without(seed) for name, each in observed.items()}
        for seed in seeds
    }
    found = []
    for name, stated in hypotheses.rules.items():
        kept = tuple(a for a in stated.architectures if a in grids)
        hypothesis = stated.model_copy(update={"architectures": kept})
        verdict = judge(name, hypothesis, observed, grids=grids, priors=priors)
        looks, count = hypothesis.looks, len(seeds)
        planned = not looks or count in looks
        if count > 3 and planned and verdict.verdict != NOT_EVALUATED:
            # One seed fewer is no look of its own: it is judged by the rule of this one.
            looks = {count - 1: looks[count]} if looks else {}
            hypothesis = hypothesis.model_copy(update={"looks": looks})
            without = {
                seed: judge(name, hypothesis, left, grids=grids, priors=priors).verdict
                for seed, left in fewer.items()
            }
            verdict = _with_others(verdict, without)
        found.append(verdict)
    return found


def _with_others(verdict: Verdict, without: dict[int, str]) -> Verdict:
    """The verdict, and beside it those without one seed at a time."""
    others = [f"{v} without seed {s}" for s, v in without.items() if v != verdict.verdict]
    told = ", ".join(others) or "the same without any one seed"
    return replace(verdict, without=without, sentence=f"{verdict.sentence[:-1]}; {told}.")


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
    least, count = 2 if isinstance(hypothesis, Reversal) else 1, len(hypothesis.architectures)
    if count < least:
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


def statements(name: str, hypothesis: Hypothesis, observed: Observed) -> dict[str, Callable]:
    """The statements of a hypothesis about all of its cells, for `families.statement_table`."""
    here, metric = observed[NEEDS[name][0]], hypothesis.metric
    pairs_of_seeds = observed.get("seed_agreement")  # none with one seed, which is no look

    def stated(effect: Mapping[str, float], *, way: float = 0.0, **options) -> Callable:
        """That means of pairings are beyond a share of the way from placebo to unrelated films."""
        threshold = {"ceiling": way, "placebo": -way} if way else {}

        def of(*cell):
            sides = [{(*cell, p): w for p, w in side.items()} for side in (effect, threshold)]
            return Statement(here, metric, *sides, **options)

        return of

    moved = {"finetune": 1, "placebo": -1}
    if name == "H1":
        found = {"drift": stated(moved, way=hypothesis.least_way)}
        if pairs_of_seeds:
            found["agreement"] = lambda *cell: Statement(
                pairs_of_seeds, "partial", {(*cell, "finetune_seeds"): 1},
                constant=hypothesis.least_agreement,
            )  # fmt: skip
        return found
    if name == "H4":
        return {"shift": stated(moved, way=hypothesis.most_way, turned=True)}
    least = {"constant": hypothesis.least_gain}
    if name == "H6":
        return {"placebo": stated(moved, **least)}
    return {
        "gain": stated({"shortcut_removed": 1}, **least),
        "shortcut_kept": stated({"shortcut_removed": 1, "shortcut_kept": -1}, **least),
    }


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
    if defined.empty:
        return _told(name, hypothesis, UNDEFINED, "", table)
    cells, claim = defined.drop_duplicates(CELL_KEYS), CLAIM[name]
    count, shown, refuted = len(cells), cells["shown"], cells["refuted"]
    verdict, text = settle(shown, refuted), ""
    if verdict == SUPPORTED:
        weakest = defined.loc[defined["p_shown"].idxmax()]
        text = f"in all {count} comparisons {claim}; least certain: {_row(weakest, 'p_shown')}"
    elif verdict == REFUTED:
        against = defined[defined["refuted"]]
        clearest = against.loc[against["p_refuted"].idxmin()]
        text = (
            f"in {refuted.sum()} of {count} comparisons it is not so that {claim}; "
            f"clearest: {_row(clearest, 'p_refuted_adjusted')}"
        )
    elif defined["problem"].eq("").any():
        some = f"in {shown.sum()} of {count} comparisons"
        text = f"{some} it is shown that {claim}, and no comparison refutes it"
    return _told(name, hypothesis, verdict, text, table)


def _row(row: pd.Series, test: str) -> str:
    """A statement about a cell, with the p-value of a test."""
    return (
        f"{STATEMENT[row['statement']]} {interval(row)}, threshold {row['threshold']:.3f}, "
        f"{label(row['architecture'], row['method'])} at {row['role']} ({p_text(row[test])})"
    )


def _reversal(
    name: str, hypothesis: Reversal, observed: Observations, grids: Mapping[str, int]
) -> Verdict:
    """H2: the difference of two architectures changes its sign with the method, in some pair."""
    table = crossing_table(observed, hypothesis, grids)
    defined = table[table["undefined"] == ""]
    if defined.empty:
        return _told(name, hypothesis, UNDEFINED, "", table)
    count, crossing, excluded = len(defined), defined["crosses"].sum(), defined["ruled_out"].sum()
    verdict, text = OPEN, ""
    if crossing:
        verdict, row = SUPPORTED, defined.loc[defined["p_cross_adjusted"].idxmin()]
        text = (
            f"{crossing} of {count} pairs of architectures change their order with the method; in "
            f"{hypothesis.metric}, clearest {effects(row, row['p_cross_adjusted'])}"
        )
    elif excluded == count:
        verdict, row = REFUTED, defined.loc[defined["p_ruled_out"].idxmax()]
        pairs = f"all {count} pairs" if count > 1 else "the one pair"
        text = (
            f"a reversal beyond the margin is ruled out in {pairs} of architectures with maps; in "
            f"{hypothesis.metric}, nearest to one {effects(row, row['p_ruled_out'])}"
        )
    elif defined["problem"].eq("").any():
        text = (
            f"no pair of {count} is shown to change its order with the method, and only in "
            f"{excluded} a reversal beyond the margin is ruled out"
        )
    return _told(name, hypothesis, verdict, text, table)


def _identity(name: str, hypothesis: Identity, observed: Observations) -> Verdict:
    """H3: two methods agree film by film."""
    table = identity_table(observed, hypothesis)
    defined = table[table["undefined"] == ""]
    broken = defined["exceeding"] + defined["blank_in_one"] > 0
    verdict = settle((defined["problem"] == "") & ~broken, broken) if len(defined) else UNDEFINED
    compared, blank = "", table["blank_in_one"].sum()
    if table["largest"].notna().any():
        compared = (
            f"the methods were compared on {table['pairs'].sum()} pairs of maps and differ by at "
            f"most {table['largest'].max():.2g} in {hypothesis.metric} "
            f"({table['exceeding'].sum()} beyond the tolerance {hypothesis.tolerance:g})"
        )
    in_one = f"{blank} are blank under one method only" if blank else ""
    problems, missing = _reasons(table)
    notes = [compared, in_one, _first(NO_MAP, missing), _first("not judged", problems[:1])]
    seed_level = "an identity of formulas, for which seeds do not matter"
    return _verdict(name, hypothesis, verdict, notes, (*problems, *missing), seed_level, table)


def _told(
    name: str, hypothesis: Hypothesis, verdict: str, text: str, table: pd.DataFrame
) -> Verdict:
    """A verdict with what decides, what is not defined, and why not more."""
    problems, missing = _reasons(table)
    usable = table[(table["problem"] == "") & (table["undefined"] == "")]
    seed_level = "; ".join((usable if len(usable) else table)["seed_level"].unique())
    if not text and verdict == OPEN:
        text = "no comparison can be judged"
    notes = [text, _first(NO_MAP, missing), _first("not judged", problems)]
    if text and len(usable):
        notes.append(f"intervals: {100 * hypothesis.level:g} %")
    if "not estimated" in seed_level and verdict != UNDEFINED:
        notes.append("seed level not estimated, so nothing is said about other seeds")
    return _verdict(name, hypothesis, verdict, notes, (*problems, *missing), seed_level, table)


def _verdict(
    name: str, hypothesis: Hypothesis, verdict: str, notes: list[str], reasons: tuple[str, ...],
    seed_level: str, table: pd.DataFrame,
) -> Verdict:  # fmt: skip
    sentence = f"{name} is {verdict}: {'; '.join(filter(None, notes))}."
    tables = {"family": table}
    return Verdict(name, hypothesis.question, verdict, sentence, reasons, seed_level, tables)


def _short(name: str, hypothesis: Hypothesis, verdict: str, why: str) -> Verdict:
    return Verdict(name, hypothesis.question, verdict, f"{name} is {verdict}: {why}.", (why,))


NO_MAP = "no map, so no answer, in"


def _reasons(table: pd.DataFrame) -> list[list[str]]:
    """Why cells were not judged, and which have no maps; each reason once."""
    return [
        list(dict.fromkeys(part for found in table[key] for part in found.split("; ") if part))
        for key in ("problem", "undefined")
    ]


def _first(what: str, reasons: list[str]) -> str:
    more = f" (and {len(reasons) - 1} more in verdicts.json)" if len(reasons) > 1 else ""
    return f"{what}: {reasons[0]}{more}" if reasons else ""
