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
        looks, count = hypothesis.looks, len(fewer)
        asked = verdict.verdict != NOT_EVALUATED and (not looks or count in looks)
        if count > 3 and asked:
            # One seed fewer is no look of its own: it is judged by the rule of this one.
            looks = {count - 1: looks[count]} if looks else {}
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
        text = f"in all {count} comparisons {CLAIM[name]}; least certain: "
        text += _row(defined, "p_shown")
    elif verdict == REFUTED:
        against = defined[defined["refuted"]]
        text = f"in {refuted.sum()} of {count} comparisons it is not so that {CLAIM[name]}; "
        text += f"clearest: {_row(against, 'p_refuted')}"
    elif defined["problem"].eq("").any():
        text = f"in {shown.sum()} of {count} comparisons it is shown that {CLAIM[name]}, and no "
        text += "comparison refutes it"
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
    defined = table[table["undefined"] == ""]
    broken = defined["exceeding"] + defined["blank_in_one"] > 0
    verdict = settle((defined["problem"] == "") & ~broken, broken) if len(defined) else UNDEFINED
    text = ""
    if table["largest"].notna().any():
        text = (
            f"the methods were compared on {table['pairs'].sum()} pairs of maps and differ by at "
        )
        text += f"most {table['largest'].max():.2g} in {hypothesis.metric} "
        text += f"({table['exceeding'].sum()} beyond the tolerance {hypothesis.tolerance:g})"
    if table["blank_in_one"].any():
        text += f"; {table['blank_in_one'].sum()} are blank under one method only"
    problems, missing = _reasons(table)
    notes = [text, _first(NO_MAP, missing), f"not judged: {problems[0]}" if problems else ""]
    sentence = f"{name} is {verdict}: {'; '.join(filter(None, notes))}."
    seed_level = "an identity of formulas, for which seeds do not matter"
    facts = {
        "reasons": (*problems, *missing),
        "seed_level": seed_level,
        "tables": {"family": table},
    }
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
    sentence = f"{name} is {verdict}: {'; '.join(filter(None, notes))}."
    reasons = (*problems, *missing)
    tables = {"family": table}
    return Verdict(name, hypothesis.question, verdict, sentence, reasons, seed_level, tables)


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
