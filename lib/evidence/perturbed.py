"""Whether a map stays where a prediction stays, and follows where it changes.

Films are changed as in `lib.attribution.perturbed`. *Resistance* is how alike a map is
before and after where the prediction stays. *Relevance* is how much more it moves where the
prediction changes, under the same change of the film: 0 for a map that does not heed what is
predicted. Both are asked of saliency maps by Zhang, Chao, Dasegowda, Wang, Kalra & Yan (2024,
doi:10.1148/ryai.220221, as robustness and sensitivity), there by changes that an adversary seeks.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.attribution.perturbed import by_change
from lib.drift.metrics import soft_iou
from lib.evidence.changes import mean_of
from lib.study.names import label
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES

_KEYS = ["architecture", "checkpoint", "role", "method"]


def compared(
    own: MapSet, changed: Mapping[str, MapSet],
    decided: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> pd.DataFrame:  # fmt: skip
    """Maps of films before and after each change.

    Parameters
    ----------
    own, changed : MapSet and mapping of str to MapSet
        Of films as they are, and of the same films, in their order, by the change.
    decided : callable
        ``(logits, classes) → predictions``, of any kind that can be compared.

    Returns
    -------
    DataFrame
        A row per layer, method, change and film: ``role``, ``method``, ``change``, ``image_id``,
        ``stays`` (whether the prediction does) and ``similarity``, the soft overlap of the two maps
        in [0, 1], NaN where one is blank.
    """
    before = decided(own.logits, own.explained_class)
    parts = [
        pd.DataFrame(
            {
                "role": role, "method": method, "change": change, "image_id": own.image_id,
                "stays": decided(maps.logits, own.explained_class) == before,
                "similarity": soft_iou(stack, maps.maps[role, method]),
            }
        )
        for change, maps in changed.items()
        for (role, method), stack in own.maps.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def table_of(pairs: pd.DataFrame, patients: Mapping[str, str]) -> pd.DataFrame:
    """Resistance and relevance of every kind of map.

    Parameters
    ----------
    pairs : DataFrame
        Of `compared`, with ``architecture`` and ``checkpoint``.

    Returns
    -------
    DataFrame
        A row per architecture, checkpoint, role and method: ``stay`` and ``change`` (pairs that are
        scored, by what became of the prediction), ``blank`` (pairs that are not), ``resistance`` in
        [0, 1] and ``relevance`` in [−1, 1], each with the limits ``…_low`` and ``…_high`` of its 95
        % interval over patients. Relevance is measured from the mean similarity of the maps whose
        predictions stay under the same change; NaN where no change has both.
    """
    rows = []
    for cell, part in pairs.groupby(_KEYS, sort=False):
        stays, patient = part["stays"], part["image_id"].map(patients)
        kept = part["similarity"].where(stays)
        level = part["change"].map(kept.groupby(part["change"]).mean())
        lost = (level - part["similarity"]).where(~stays)
        row = dict(zip(_KEYS, cell, strict=True))
        for name, count, values in (("resistance", "stay", kept), ("relevance", "change", lost)):
            found = mean_of(values, patient)
            row |= {count: found["n"], name: found["mean"]}
            row |= {f"{name}_{end}": found[end] for end in ("low", "high")}
        rows.append(row | {"blank": int(part["similarity"].isna().sum())})
    return pd.DataFrame(rows, columns=TABLES["perturbed"].columns)


def of_study(
    paths: StudyPaths, sets: Mapping[str, Mapping[str, MapSet]], patients: Mapping[str, str]
) -> pd.DataFrame:
    """`table_of` the checkpoints that were asked; without a row where none was.

    Parameters
    ----------
    paths : StudyPaths
    sets : mapping of architecture to mapping of checkpoint to MapSet
        Maps of the films as they are.
    patients : mapping of str to str
        Patient by image id.
    """
    parts = []
    for architecture, of in sets.items():
        for checkpoint, own in of.items():
            if not (file := paths.perturbed(architecture, checkpoint)).exists():
                continue
            changed = by_change(MapSet.load(file))
            films = next(iter(changed.values())).image_id
            rows = pd.Index(own.image_id).get_indexer(films)
            pairs = compared(own.take(rows), changed, lambda logits, _: logits.argmax(axis=1))
            parts.append(pairs.assign(architecture=architecture, checkpoint=checkpoint))
    if not parts:
        return pd.DataFrame(columns=TABLES["perturbed"].columns)
    return table_of(pd.concat(parts, ignore_index=True), patients)


def sentences(table: pd.DataFrame, *, role: str, method: str) -> list[str]:
    """Resistance and relevance of one kind of map, a sentence per architecture and checkpoint.

    Parameters
    ----------
    table : DataFrame
        Of `table_of`.
    role, method : str
        Which maps.
    """
    told = []
    for row in table.query("role == @role and method == @method").itertuples():
        kept, moved = row.resistance, row.relevance
        stays = (
            "no pair of maps is scored" if np.isnan(kept) else f"the map keeps {kept:.0%} of itself"
        )
        follows = "nothing can be said, because no change of the films has both"
        if not np.isnan(moved):
            known = f" ({row.relevance_low:.0%} to {row.relevance_high:.0%})"
            bounds = "" if np.isnan(row.relevance_low) else known
            follows = f"it moves by {moved:.0%}{bounds} more"
        told.append(
            f"{label(row.architecture)}, {row.checkpoint}: where the prediction stays, {stays}; "
            f"where it changes, {follows}."
        )
    return told
