"""The films of a multi-label model: which have a finding, and what a question about one is.

A film has a finding, has it not, or its table says that it is uncertain; what a table leaves blank
it has not, as in the tables that publish findings so. Sigmoids of different findings are on no
common scale, and few are calibrated. So a version is held to name a finding where its logit is
among the highest of the films asked, as many as have the finding: then films that it names wrongly
and films that it misses are equally many. Neither drift nor the AUC depends on that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from lib.attribution.maps import MapSet
from lib.checkpoint_audit.classes import CHANCE, LEVEL, told_apart
from lib.data.naming import meaning, to_type
from lib.study.errors import DataError, few

UNCERTAIN = {"leave_out": np.nan, "positive": 1.0, "negative": 0.0}


def status_table(
    texts: pd.Series, findings: Sequence[str], *, uncertain: str, labels: Mapping[str, str]
) -> np.ndarray:
    """What is known of films and findings, float (films, findings): 1 has it, 0 not, NaN left out.

    `texts` are the findings of each film, "A|B"; an uncertain one has a question mark, and counts
    as `uncertain`, of `UNCERTAIN`, says. `labels` are findings by what the table calls otherwise.
    """
    status = np.zeros((len(texts), len(findings)))
    for row, found in enumerate(_told(texts, findings, labels)):
        for name, unsure in found:
            status[row, list(findings).index(name)] = UNCERTAIN[uncertain] if unsure else 1
    return status


def canonical(texts: pd.Series, findings: Sequence[str], *, labels: Mapping[str, str]) -> pd.Series:
    """The findings that are asked for, by their own names, and no other text of the table."""
    told = _told(texts, findings, labels)
    names = ["|".join(name + "?" * unsure for name, unsure in found) for found in told]
    return pd.Series(names, texts.index, texts.dtype)


def _told(texts, findings, labels) -> Iterator[list[tuple[str, bool]]]:
    """Of every film those of the findings that its text tells, and whether they are uncertain."""
    mean = meaning(list(findings), dict(labels))
    for text in texts:
        words = map(str.strip, text.split("|"))
        found = [(mean(word.removesuffix("?")), word.endswith("?")) for word in words]
        yield [one for one in found if one[0] in findings]


def require_findings(
    texts: pd.Series, findings: Sequence[str], *, labels: Mapping[str, str], source: Path
) -> None:
    """Refuse (DataError) a finding that no film has: a misspelt name asks for nothing."""
    mean = meaning(list(findings), dict(labels))
    found = {x.strip().removesuffix("?") for text in texts for x in text.split("|")} - {""}
    others = sorted(x for x in found if mean(x) not in findings)
    never = [x for x in findings if x not in set(map(mean, found))]
    if never:
        raise DataError(
            f"FINDINGS: {source} has no film with {few(never, 20)}; its other findings are "
            f"{few(others, 30) or 'none'}. Correct the names, or say what one of those means: "
            f"{to_type('data.labels', {(others or ['name'])[0]: never[0]})}"
        )


def rows_to_explain(status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Film and finding of every map, int (rows,); a film without any has one, for its logits."""
    wanted = status == 1
    wanted[~wanted.any(axis=1), 0] = True
    return np.nonzero(wanted)


def explained_rows(texts: pd.Series, classes: Sequence[str], params):
    """Which class or finding every map of an audit explains.

    Parameters
    ----------
    texts : Series of str, one per film
        Labels, as in `status_table`.
    classes : sequence of str
        Classes or findings, in the order of the logits.
    params : AuditParams

    Returns
    -------
    status : ndarray or None
        As `status_table`; None where a film has one class.
    film, label : ndarray of int, shape (maps,)
        Place of the film; number of the class or finding.
    """
    if not params.findings:
        return None, np.arange(len(texts)), np.array([classes.index(x) for x in texts], np.int64)
    known = params.data
    status = status_table(texts, classes, uncertain=known.uncertain, labels=known.labels)
    return status, *rows_to_explain(status)


def operating_point(logits: np.ndarray, positive: np.ndarray) -> float:
    """The logit above which there are as many films as are positive: some and not all."""
    order, count = np.sort(np.asarray(logits, np.float64))[::-1], int(np.sum(positive))
    return float(order[count - 1 : count + 1].mean())


def of_finding(
    sets: Mapping[str, MapSet],
    manifest: pd.DataFrame,
    status: np.ndarray,
    number: int,
    finding: str,
):
    """The question about one finding, with two classes: films have it or not.

    `sets` have a row per film and finding, labels as numbers of findings; `status` (films,) is that
    of this finding, as `status_table`, and `number` its place among the logits.

    Returns maps of the films that have the finding (class 1 of 2), of its own logit z as (−z/2,
    z/2), z being measured from `operating_point`; by set the logits of all films that are asked;
    those films, ``label`` being one of the classes; the classes; and `operating_point` before and
    after. None where no film has the finding, or all have.
    """
    asked = manifest[~np.isnan(status)].reset_index(drop=True)
    positive = status[~np.isnan(status)] == 1
    if not 0 < positive.sum() < len(positive):
        return None
    classes, having = (f"no {finding}", finding), asked.loc[positive, "image_id"].tolist()
    made, scores, thresholds = {}, {}, []
    for name, maps in sets.items():
        of_film = pd.Series(maps.logits[:, number], maps.image_id)
        of_film = of_film[~of_film.index.duplicated()]
        threshold = operating_point(of_film[asked["image_id"]].to_numpy(), positive)
        if name in ("before", "after"):
            thresholds.append(threshold)
        two = np.outer(of_film - threshold, [-0.5, 0.5]).astype(np.float32)
        two = pd.DataFrame(two, index=of_film.index)
        own = maps.take((maps.label == number) & np.isin(maps.image_id, having))
        one, logits = np.ones(len(own.label), np.int64), two.loc[own.image_id].to_numpy()
        made[name] = replace(own, label=one, explained_class=one, logits=logits)
        scores[name] = two.loc[asked["image_id"]].to_numpy()
    films = asked.assign(label=np.array(classes, dtype=object)[positive.astype(int)])
    return made, scores, films, classes, thresholds


def output_table(logits: np.ndarray, status: np.ndarray, findings: Sequence[str]) -> pd.DataFrame:
    """Whether the outputs of a model stand for the findings that one thinks they stand for.

    Parameters
    ----------
    logits : ndarray of float, shape (films, findings)
    status : ndarray of float, shape (films, findings)
        As `status_table`.
    findings : sequence of str
        In the order of the logits.

    Returns
    -------
    DataFrame
        ``finding``, ``films`` (that have it), ``auc`` of its own output, ``best_output`` (the
        finding of the output that would tell it best, of the assignment of outputs to findings with
        the highest mean AUC), ``best_auc``, and ``elsewhere``: that is another output, the own one
        is at chance (one-sided Mann-Whitney test, p above 0.05), and the other is not even after
        correction for the number of outputs (below 0.01).
    """
    count = len(findings)
    areas, chance = np.full((count, count), np.nan), np.ones((count, count))
    for finding, known in enumerate(status.T):
        if (known == 1).any() and (known == 0).any():
            for output, scores in enumerate(logits.T):
                found = told_apart(scores[known == 1], scores[known == 0])
                areas[finding, output], chance[finding, output] = found
    _, best = linear_sum_assignment(np.nan_to_num(areas, nan=0.5), maximize=True)
    every = np.arange(count)
    elsewhere = (best != every) & (chance[every, every] > CHANCE)
    elsewhere &= chance[every, best] * count < LEVEL
    best_output = np.array(findings, dtype=object)[best]
    return pd.DataFrame(
        {"finding": list(findings), "films": (status == 1).sum(axis=0), "auc": areas[every, every],
         "best_output": best_output, "best_auc": areas[every, best], "elsewhere": elsewhere}
    )  # fmt: skip


def output_warnings(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What is to be said of outputs that stand for other findings, by version."""
    said = []
    for name, table in tables.items():
        parts = [
            f"{row.finding} by the output of {row.best_output} (AUC {row.best_auc:.2f}, its own "
            f"{row.auc:.2f})"
            for row in table[table["elsewhere"]].itertuples()
        ]
        if parts:
            said.append(
                f"The outputs of {name} may be named in another order: it tells "
                f"{', '.join(parts)}. Check FINDINGS."
            )
    return said
