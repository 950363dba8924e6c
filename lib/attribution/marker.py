"""What a network answers where a planted marker is another: asked through the graph of its maps."""

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.models.performance import true_probability
from lib.study.names import trained


def asked(checkpoint: str) -> bool:
    """Whether it is asked: no control is, and of the placebo no more than the head is new."""
    return trained(checkpoint) and not checkpoint.startswith("placebo")


def changed(shown: np.ndarray, altered: np.ndarray) -> np.ndarray:
    """Places of the films whose marker is another in their twins, ndarray of int.

    Parameters
    ----------
    shown, altered : ndarray of uint8, shape (n, size, size)
        The films, and the same without a planted shortcut.
    """
    return np.flatnonzero([(a != b).any() for a, b in zip(shown, altered, strict=True)])


def answers(maps: MapSet, places: np.ndarray, altered: np.ndarray, betrayed: int) -> pd.DataFrame:
    """Probability of the betrayed class with the film as it is and with the other marker.

    Parameters
    ----------
    maps : MapSet
        Of all films as they are.
    places : ndarray of int, shape (n,)
        Of the films among them whose marker is another, see `changed`.
    altered : ndarray of float, shape (n, classes)
        Logits of these films with the other marker.
    betrayed : int
        Index of the class.

    Returns
    -------
    DataFrame
        ``image_id``, ``shown`` and ``altered``, in [0, 1].
    """
    of, shown = np.full(len(places), betrayed), maps.logits[places]
    told = {"shown": true_probability(shown, of), "altered": true_probability(altered, of)}
    return pd.DataFrame({"image_id": maps.image_id[places]} | told)
