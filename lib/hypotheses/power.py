"""What a planned study could decide, from the spread of one that is finished.

A squared standard error has a part of patients and a part of seeds. Each is scaled by its number,
and the degrees of freedom follow as in `lib.inference.contrasts`. So the numbers hold for films,
networks and trainings like those of the finished study, and say nothing about other ones.
"""

from itertools import combinations, product

import numpy as np
from scipy import stats

from lib.hypotheses.families import beyond
from lib.hypotheses.observations import Name, Observations
from lib.hypotheses.stated import Hypotheses, Hypothesis, Identity, Reversal
from lib.hypotheses.verdicts import NEEDS, STATEMENT, Observed, statements
from lib.inference.contrasts import Estimate

POWER = 0.8
"""Probability with which an effect of the smallest size is shown."""


def smallest(
    found: Estimate, *, alpha: float, seeds: tuple[int, int], patients: tuple[float, float],
    power: float = POWER,
) -> float:  # fmt: skip
    """Distance from a threshold that a one-sided test shows with a given probability.

    From an estimate of the finished study, and the numbers of seeds and patients, at least 2, in
    the finished and in the planned one. In units of the estimate, by the t distribution at both
    ends; NaN where the finished study does not tell how much seeds differ.
    """
    of_seeds = found.se_seeds**2 * seeds[0] / seeds[1]
    of_patients = found.se_patients**2 * patients[0] / patients[1]
    total = of_seeds + of_patients
    share = of_seeds / total if total > 0 else 0.0
    df = 1 / (share / (seeds[1] - 1) + (1 - share) / (patients[1] - 1))
    return float((stats.t.isf(alpha, df) + stats.t.ppf(power, df)) * np.sqrt(total))


def told(
    rules: Hypotheses, observed: Observed, *, seeds: int, more_films: float
) -> dict[str, str]:  # fmt: skip
    """The smallest effects that a study with so many seeds could show, a sentence per hypothesis.

    From the observations of a finished study, of whose test films it has `more_films` times as
    many. Without hypotheses that need no inference, that are not judged with so many seeds, or of
    which the finished study has no estimate.
    """
    found = {}
    for name, rule in rules.rules.items():
        if isinstance(rule, Identity) or seeds not in rule.looks:
            continue
        if observed.get(NEEDS[name][0]) is None:
            continue
        parts = _reversal if isinstance(rule, Reversal) else _statements
        if sentence := parts(name, rule, observed, seeds, more_films):
            found[name] = f"With {100 * POWER:.0f} % it would show {sentence}."
    return found


def _sizes(observed: Observations, metric: str, names: list[Name], seeds: int, more: float) -> dict:
    patients = observed.counts(metric, *names)["patients"]
    return {"seeds": (len(observed.seeds), seeds), "patients": (patients, patients * more)}


def _usable(observed: Observations, metric: str, names: list[Name], rule: Hypothesis) -> bool:
    known = metric in observed.pairs and observed.known(metric, names) is not None
    return known and not observed.undefined(metric, names, rule.minimum)


def _statements(
    name: str, rule: Hypothesis, observed: Observed, seeds: int, more: float
) -> str:  # fmt: skip
    """What each statement needs in the least certain of its cells."""
    parts = []
    for key, of in statements(name, rule, observed).items():
        needed = []
        for cell in product(rule.architectures, rule.methods, rule.roles):
            one = of(*cell)
            if _usable(one.observed, one.metric, one.names, rule):
                found = beyond(one.observed, one.metric, one.effect, one.threshold)
                sizes = _sizes(one.observed, one.metric, one.names, seeds, more)
                needed.append(smallest(found, alpha=rule.looks[seeds], **sizes))
        if not needed or not np.isfinite(most := max(needed)):
            return ""
        side = "below" if one.turned else "above"
        parts.append(f"{STATEMENT[key]} that is {most:.2g} {side} its threshold")
    return f"{' and '.join(parts)}, in the least certain cell"


def _reversal(
    name: str, rule: Reversal, observed: Observed, seeds: int, more: float
) -> str:  # fmt: skip
    """What the clearest pair of architectures needs: one that reverses is enough."""
    here, metric, pairs = observed[NEEDS[name][0]], rule.metric, []
    for role, (first, second) in product(rule.roles, combinations(rule.architectures, 2)):
        effects = [
            {(first, method, role, "finetune"): 1.0, (second, method, role, "finetune"): -1.0}
            for method in rule.methods
        ]
        if _usable(here, metric, [name for effect in effects for name in effect], rule):
            pairs.append(effects)
    # Holm tests the clearest of the pairs first, and both intervals have to exclude 0 as well.
    alpha = min(rule.looks[seeds] / max(len(pairs), 1), (1 - rule.level) / 2)
    needed = [
        max(
            smallest(
                here.estimate(metric, effect), alpha=alpha, power=POWER**0.5,
                **_sizes(here, metric, list(effect), seeds, more),
            )
            for effect in effects
        )
        for effects in pairs
    ]  # fmt: skip
    needed = [value for value in needed if np.isfinite(value)]
    if not needed:
        return ""
    return f"two differences of {min(needed):.2g} and of opposite sign, in the clearest pair"
