"""Sets of maps made by hand, shared by the tests of drift and evidence."""

import numpy as np

from lib.attribution.maps import MapSet


def map_set(maps, *, labels, ids=None, logits=None, wrong=()):
    """Maps by role and method, of films that are predicted rightly but for those in `wrong`."""
    labels = np.asarray(labels)
    if logits is None:
        logits = 2 * np.eye(max(2, labels.max() + 1), dtype=np.float32)[labels]
        logits[list(wrong)] = logits[list(wrong), ::-1]
    ids = np.array([f"f{n:02d}" for n in range(len(labels))] if ids is None else ids)
    return MapSet(ids, labels, labels, logits, maps, {role: "relu" for role, _ in maps})
