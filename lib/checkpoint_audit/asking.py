"""What a version is asked beside its maps, while its weights lie in the graph that makes them.

A sample of the films is altered: do the maps tell what the prediction rests on, and do they stay
with it?
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit

from lib.attribution import faithfulness
from lib.attribution.maps import MapSet
from lib.attribution.perturbed import by_change, explained
from lib.checkpoint_audit.labels import operating_point
from lib.data.batches import Films
from lib.evidence.perturbed import compared
from lib.models.performance import true_probability
from lib.study.seeds import derive

if TYPE_CHECKING:
    from lib.attribution.explainer import Explainer


def sample(status: np.ndarray | None, film: np.ndarray, label: np.ndarray, params):
    """Maps that are asked whether they tell what the prediction rests on, drawn at random.

    Parameters
    ----------
    status, film, label : ndarray
        As from `lib.checkpoint_audit.labels.explained_rows`.
    params : AuditParams
        Has the seed and ``attribution.faithfulness_films``, the most maps to ask.

    Returns
    -------
    ndarray of int
        Places of maps of films with their own class or finding, ascending.
    """
    usable = np.arange(len(film)) if status is None else np.flatnonzero(status[film, label] == 1)
    draw = np.random.default_rng(derive(params.seed, "faithfulness films"))
    return np.sort(draw.permutation(usable)[: params.attribution.faithfulness_films])


def probability(logits: np.ndarray, findings: np.ndarray) -> np.ndarray:
    """Sigmoid of the logit of one finding for each film, shape (films,)."""
    return expit(np.asarray(logits, np.float64)[np.arange(len(findings)), findings])


def deciding(logits: np.ndarray, status: np.ndarray | None, film: np.ndarray | None):
    """How a version decides: ``(logits, classes) → predictions``.

    From the `logits` of its maps, shape (rows, classes). Without `status` and `film` (as from
    `lib.checkpoint_audit.labels.explained_rows`) the class with the highest logit is predicted,
    else whether a film has the finding, by `operating_point`.
    """
    if status is None:
        return lambda found, classes: found.argmax(axis=1)
    first = logits[np.unique(film, return_index=True)[1]]
    points = [
        operating_point(own[~np.isnan(known)], known[~np.isnan(known)] == 1)
        if (known == 1).any() else np.nan
        for own, known in zip(first.T, status.T, strict=True)
    ]  # fmt: skip
    return lambda found, classes: found[np.arange(len(found)), classes] > np.take(points, classes)


def asker(
    films: Films,
    rows: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    status: np.ndarray | None = None,
    film: np.ndarray | None = None,
) -> Callable[["Explainer", MapSet], dict[str, pd.DataFrame]]:
    """A function from an explainer, and the maps that it made, to what a sample of them tells.

    Parameters
    ----------
    films : Films
        Those of the maps.
    rows : ndarray of int, shape (sampled,)
        Places of the sample among the maps, see `sample`; none asks nothing.
    batch_size : int
        That of the maps, as a graph for another one would have to be traced.
    seed : int
        Of random maps and noise.
    status, film : ndarray, optional
        As in `deciding`.

    Returns
    -------
    callable
        ``(explainer, maps) → tables``: ``faithfulness``, as
        `lib.attribution.faithfulness.curves`, and ``perturbed``, as
        `lib.evidence.perturbed.compared`.
    """
    sure = true_probability if status is None else probability
    images = np.asarray(films.images[films.rows[rows]])

    def ask(explain: "Explainer", own: MapSet) -> dict[str, pd.DataFrame]:
        if not len(rows):
            return {}
        curves = faithfulness.curves(
            explain.logits, images, own, rows, seed=derive(seed, "faithfulness"), probability=sure
        )
        batch = min(batch_size, len(films))
        maps = explained(
            explain, films, own, rows, seed=derive(seed, "perturbed"), batch_size=batch
        )
        decided = deciding(own.logits, status, film)
        steady = compared(own.take(rows), by_change(maps), decided)
        return {"faithfulness": curves, "perturbed": steady}

    return ask
