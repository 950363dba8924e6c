"""Decision rules: from estimates to cells that show a hypothesis, refute it, or leave it open.

A statement says that a difference of means lies above 0. A cell shows a hypothesis if all of its
statements are above 0: the largest p-value (intersection-union test, Berger 1982). It refutes it if
one of them is below: twice the smaller of two p-values (Bonferroni). Where one cell suffices for
the verdict, p-values are adjusted by Holm (1979) over the defined cells; where all are needed, they
are not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import pandas as pd

from lib.hypotheses.observations import Name, Observations
from lib.hypotheses.stated import Hypothesis, Identity, Reversal
from lib.inference.contrasts import Estimate
from lib.inference.decisions import crossover, holm
from lib.study.names import label

CELL_KEYS = ["architecture", "method", "role"]
NAN = float("nan")


@dataclass(frozen=True)
class Statement:
    """That an effect lies above a threshold, or below it if `turned`.

    Both are linear combinations of means, so that the test knows the threshold's own error; a
    constant is added to the threshold.
    """

    observed: Observations
    metric: str
    effect: Mapping[Name, float]
    threshold: Mapping[Name, float] = field(default_factory=dict)
    constant: float = 0.0
    turned: bool = False

    @property
    def names(self) -> list[Name]:
        """All cells that it needs."""
        return list(dict.fromkeys((*self.effect, *self.threshold)))

    def p_values(self) -> tuple[float, float]:
        """One-sided p-values of "true" and of "false"."""
        found = beyond(self.observed, self.metric, self.effect, self.threshold)
        sides = [float(found.p_value(side, null=self.constant)) for side in ("greater", "less")]
        return tuple(reversed(sides)) if self.turned else tuple(sides)

    def limit(self) -> float:
        """The threshold's estimate."""
        if not self.threshold:
            return self.constant
        return self.constant + float(self.observed.estimate(self.metric, self.threshold).estimate)


def beyond(
    observed: Observations, metric: str, effect: Mapping[Name, float],
    threshold: Mapping[Name, float], sign: float = 1,
) -> Estimate:  # fmt: skip
    """Estimate an effect less `sign` times a threshold, both linear combinations of means."""
    names = dict.fromkeys((*effect, *threshold))
    weights = {name: effect.get(name, 0) - sign * threshold.get(name, 0) for name in names}
    return observed.estimate(metric, weights)


def alpha_of(hypothesis: Hypothesis, observed: Observations) -> tuple[float, str]:
    """Error rate at this number of seeds, and why the study is not judged if it is no look."""
    if not hypothesis.looks:
        return 0.05, ""
    count = len(observed.seeds)
    if count in hypothesis.looks:
        return hypothesis.looks[count], ""
    return 0.0, (
        f"{count} fine-tuning seed{'s' * (count != 1)}: looks are planned at {hypothesis.planned}"
    )


def statement_table(
    hypothesis: Hypothesis,
    observed: Observations,
    statements: Mapping[str, Callable[[str, str, str], Statement]],
) -> pd.DataFrame:
    """Test all statements of all cells.

    Each is a function of architecture, method and role; `observed` says how many seeds there are.

    Returns
    -------
    DataFrame
        A row per cell and statement: `CELL_KEYS`, ``statement``, ``estimate`` (of the effect),
        ``low``, ``high``, ``df``, ``threshold``, ``p_shown``, ``p_refuted`` (one-sided),
        ``seed_level``, ``films``, ``pairs``, ``blank``, ``undefined``, ``problem`` (text, empty if
        none); by cell ``p_cell`` (largest of ``p_shown``), ``p_refuted_adjusted``, ``shown`` and
        ``refuted`` (bool, never both).
    """
    alpha, unplanned = alpha_of(hypothesis, observed)
    rows = []
    cells = product(hypothesis.architectures, hypothesis.methods, hypothesis.roles)
    for architecture, method, role in cells:
        for name, of in statements.items():
            stated = of(architecture, method, role)
            given, metric, names = stated.observed, stated.metric, stated.names
            undefined = given.undefined(metric, names, hypothesis.minimum)
            problem = given.problem(metric, names, hypothesis.minimum)
            problem = _problem(undefined, unplanned, problem)
            found = given.estimate(metric, stated.effect)
            p_shown, p_refuted = (NAN, NAN) if undefined or problem else stated.p_values()
            rows.append(
                {"architecture": architecture, "method": method, "role": role, "statement": name,
                 **numbers(found, hypothesis.level), "threshold": stated.limit(),
                 "p_shown": p_shown, "p_refuted": p_refuted, "seed_level": found.seed_level,
                 **_sizes(given, metric, names), "undefined": undefined, "problem": problem}
            )  # fmt: skip
    return _by_cell(pd.DataFrame(rows), alpha, len(statements))


def _problem(undefined: str, *reasons: str) -> str:
    """Why a cell is not judged; one that is undefined needs no other reason."""
    return "" if undefined else "; ".join(filter(None, reasons))


def _by_cell(table: pd.DataFrame, alpha: float, count: int) -> pd.DataFrame:
    """Add what all statements of a cell say together."""
    dead = table.groupby(CELL_KEYS, sort=False)["undefined"].transform(
        lambda texts: "; ".join(dict.fromkeys(filter(None, texts)))
    )
    table = table.assign(undefined=dead)
    table.loc[dead != "", ["p_shown", "p_refuted"]] = NAN
    cells = table[dead == ""].groupby(CELL_KEYS, sort=False)
    refuted = cells["p_refuted"].agg(lambda p: min(count * p.min(), 1)).astype(float)
    tests = {
        "p_cell": cells["p_shown"].agg(lambda p: p.max(skipna=False)).astype(float),
        "p_refuted_adjusted": pd.Series(holm(refuted), refuted.index),
    }
    table = table.join(pd.DataFrame(tests), on=CELL_KEYS)
    table["shown"] = table["p_cell"] <= alpha
    table["refuted"] = (table["p_refuted_adjusted"] <= alpha) & ~table["shown"]
    return table


def crossing_table(
    observed: Observations, hypothesis: Reversal, grids: Mapping[str, int]
) -> pd.DataFrame:
    """Test for each pair of architectures whether their difference reverses between two methods.

    Effects are differences in stability, the first architecture less the second, by method; the
    interaction is the first method's effect less the second's. `grids` are sides of the final maps
    in cells: architectures on unequal grids are not compared.

    Returns
    -------
    DataFrame
        A row per role and pair: ``first``, ``second``, ``role``, ``method_a``, ``method_b``;
        estimates and intervals of ``effect_a``, ``effect_b`` and ``interaction`` (suffixes
        ``_low``, ``_high``); ``p_cross``, ``p_ruled_out`` (a reversal with both effects beyond the
        margin) and ``p_cross_adjusted`` (over the defined pairs of the table); ``crosses``,
        ``ruled_out`` (bool); ``margin`` (its estimate), ``seed_level``, ``films``, ``pairs``,
        ``blank``, ``undefined``, ``problem``.
    """
    alpha, unplanned = alpha_of(hypothesis, observed)
    rows = [
        _crossing(observed, hypothesis, pair, role, grids, unplanned)
        for role in hypothesis.roles
        for pair in combinations(hypothesis.architectures, 2)
    ]
    table = pd.DataFrame(rows)
    defined = table["undefined"] == ""
    table["p_cross_adjusted"] = pd.Series(holm(table.loc[defined, "p_cross"]), table.index[defined])
    table["crosses"] = table.pop("opposite") & (table["p_cross_adjusted"] <= alpha)
    table["ruled_out"] = (table["p_ruled_out"] <= alpha) & ~table["crosses"]
    return table


def _crossing(
    observed: Observations, hypothesis: Reversal, pair: tuple[str, str], role: str,
    grids: Mapping[str, int], unplanned: str,
) -> dict:  # fmt: skip
    first, second = pair
    metric, sign = hypothesis.metric, 1.0 if hypothesis.similarity else -1.0
    effects, names = [], []
    for method in hypothesis.methods:
        ours, theirs = ((a, method, role, "finetune") for a in pair)
        effects.append({ours: sign, theirs: -sign})
        names += [ours, theirs]
    interaction = effects[0] | {name: -weight for name, weight in effects[1].items()}
    share = hypothesis.margin_way / len(names)
    margin = {(*name[:3], "placebo"): sign * share for name in names}
    margin |= {(*name[:3], "ceiling"): -sign * share for name in names}
    undefined = observed.undefined(metric, names, hypothesis.minimum)
    problem = observed.problem(metric, [*names, *margin], hypothesis.minimum)
    problem = _problem(undefined, unplanned, problem, _unequal(pair, role, grids))
    judged = not undefined and not problem
    level = hypothesis.level
    parts = [observed.estimate(metric, effect) for effect in effects]
    found = crossover(*parts, level=level)
    # Two ways to reverse by more than the margin; each is refuted through either of its effects.
    ways = [
        2 * min(
            beyond(observed, metric, effects[one], margin).p_value("less"),
            beyond(observed, metric, effects[other], margin, -1).p_value("greater"),
        )
        for one, other in ((0, 1), (1, 0))
    ]  # fmt: skip
    whole = observed.estimate(metric, interaction)
    return {
        "first": first, "second": second, "role": role,
        "method_a": hypothesis.methods[0], "method_b": hypothesis.methods[1],
        **numbers(parts[0], level, "effect_a"), **numbers(parts[1], level, "effect_b"),
        **numbers(whole, level, "interaction"),
        "p_cross": float(found.p_value) if judged else NAN,
        "p_ruled_out": float(min(max(ways), 1)) if judged else NAN,
        "opposite": bool(found.supported) and judged,
        "margin": float(observed.estimate(metric, margin).estimate),
        "seed_level": whole.seed_level, **_sizes(observed, metric, names),
        "undefined": undefined, "problem": problem,
    }  # fmt: skip


def _unequal(pair: tuple[str, str], role: str, grids: Mapping[str, int]) -> str:
    sides = [grids.get(name) for name in pair]
    if None not in sides and len(set(sides)) == 1:
        return ""
    known = "not known to be equal" if None in sides else f"{sides[0]} and {sides[1]} squares wide"
    return f"{label(pair[0])} and {label(pair[1])} at {role}: grids are {known}"


def identity_table(observed: Observations, hypothesis: Identity) -> pd.DataFrame:
    """Film by film: the largest difference between two methods.

    Returns
    -------
    DataFrame
        A row per architecture and role, over the pairings transfer → fine-tuned: ``pairs`` (with a
        value under both), ``largest`` (absolute difference, NaN without a pair), ``exceeding``
        (pairs above the tolerance), ``blank_in_one`` (pairs that only one method leaves blank),
        ``undefined`` (too many pairs are blank under both), ``problem``.
    """
    rows = observed.pairs[observed.pairs["pairing"] == "finetune"]
    metric, found = hypothesis.metric, []
    for architecture, role in product(hypothesis.architectures, hypothesis.roles):
        own = rows[(rows["architecture"] == architecture) & (rows["role"] == role)]
        first, second = (
            own[own["method"] == method].set_index(["before", "after", "image_id"])[metric]
            for method in hypothesis.methods
        )
        first, second = first.align(second)
        difference = (first - second).abs()
        exceeding = int((difference > hypothesis.tolerance).sum())
        blank_in_one = int((first.isna() != second.isna()).sum())
        names = [(architecture, method, role, "finetune") for method in hypothesis.methods]
        # One film refutes an exact prediction, however many others have no map.
        broken = exceeding + blank_in_one > 0
        undefined = "" if broken else observed.undefined(metric, names, hypothesis.minimum)
        problem = _problem(undefined, observed.problem(metric, names, hypothesis.minimum))
        found.append(
            {"architecture": architecture, "role": role, "pairs": int(difference.notna().sum()),
             "largest": difference.max(), "exceeding": exceeding, "blank_in_one": blank_in_one,
             "undefined": undefined, "problem": problem}
        )  # fmt: skip
    return pd.DataFrame(found)


def numbers(found: Estimate, level: float, name: str = "estimate") -> dict[str, float]:
    """Estimate with the ends of its interval and degrees of freedom, for a table."""
    prefix = "" if name == "estimate" else f"{name}_"
    keys = (name, f"{prefix}low", f"{prefix}high", f"{prefix}df")
    values = (found.estimate, *found.interval(level), found.df)
    return {key: float(value) for key, value in zip(keys, values, strict=True)}


def _sizes(observed: Observations, metric: str, names: Sequence[Name]) -> dict[str, int]:
    counts = observed.counts(metric, *names)
    return {name: counts[name] for name in ("films", "pairs", "blank")}
