"""Which films a case sheet shows: chosen by rule, never by hand."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.models.performance import true_probability


@dataclass(frozen=True)
class Case:
    """One film with its maps before and after.

    Attributes
    ----------
    film : ndarray of uint8, shape (h, w)
    map_a, map_b : ndarray of float, shape (rows, columns)
        Raw maps of the two checkpoints on their native grid, non-negative.
    lesion : ndarray of bool, shape (h, w), or None
    caption : str
        Facts about the film; each ``" · "`` starts a new line.
    """

    film: np.ndarray
    map_a: np.ndarray
    map_b: np.ndarray
    lesion: np.ndarray | None
    caption: str


def choose_cases(
    sets: dict[str, MapSet], pairs: pd.DataFrame, *, role: str, method: str,
    checkpoints: tuple[str, str], films: np.ndarray | None = None,
    lesions: np.ndarray | None = None, most: int = 3,
) -> list[Case]:  # fmt: skip
    """Choose the films whose maps moved most, and those that moved least, by ``iou_top20``.

    Parameters
    ----------
    sets : dict of str to MapSet
        Maps by checkpoint name.
    pairs : DataFrame
        Of one architecture and the pairing ``finetune``: ``role``, ``method``, ``image_id``,
        ``iou_top20``. Blank pairs are passed over, ties go by image id.
    role, method : str
        Which maps.
    checkpoints : tuple of str
        Before and after.
    films, lesions : ndarray, shape (n, size, size), optional
        Films and lesion masks in the order of the maps; without films the sheet shows maps alone.
    most : int
        Cases from each end.

    Returns
    -------
    list of Case
        From most moved to least; empty if there is nothing to show.
    """
    of_cell = pairs[(pairs["role"] == role) & (pairs["method"] == method)]
    overlap = of_cell.groupby("image_id")["iou_top20"].mean().dropna().sort_index()
    order = overlap.sort_values(kind="stable")
    chosen = pd.concat([order[:most], order[most:][-most:]])
    before, after = (sets[name] for name in checkpoints)
    position = {name: index for index, name in enumerate(before.image_id)}
    p_before, p_after = (true_probability(s.logits, s.label) for s in (before, after))
    cases = []
    for image_id, value in chosen.items():
        index = position[image_id]
        map_before = before.maps[role, method][index]
        lesion = None if lesions is None or not lesions[index].any() else lesions[index]
        cases.append(
            Case(
                film=np.zeros_like(map_before, np.uint8) if films is None else films[index],
                map_a=map_before,
                map_b=after.maps[role, method][index],
                lesion=lesion,
                caption=f"{image_id} · IoU top-20 % {value:.2f} · "
                f"p {p_before[index]:.2f} → {p_after[index]:.2f}",
            )
        )
    return cases
