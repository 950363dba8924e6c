"""What each remedy does to the probes that see no disease, and to drift between two studies.

The probes of `probes` are run on the films as they are and after each remedy by itself. Films,
folds and groups of patients stay the same, so that only the pixels differ.
"""

import tempfile
from pathlib import Path

import pandas as pd

from lib.data import cache as image_cache
from lib.data.audit import duplicates, probes
from lib.data.audit.measures import measure
from lib.data.films.treat import MASKED
from lib.study.data_params import Data

UNTREATED, OWN = "films as they are", "this study's choice"
TRIALS = {
    "central square": {"aspect": "crop"},
    "distorted to a square": {"aspect": "squash"},
    "longer side of 128 px": {"remedies": {"common_resolution": 128}},
    "border cut by 10 %": {"remedies": {"border_crop": 0.1}},
    "percentile window": {"remedies": {"intensity": "percentile"}},
    "CLAHE": {"remedies": {"intensity": "clahe"}},
    "square, 128 px, cut, window": {
        "aspect": "crop",
        "remedies": {"common_resolution": 128, "border_crop": 0.1, "intensity": "percentile"},
    },
    "lungs only": {"remedies": {"region": "lungs_only"}},
    "lungs masked out": {"remedies": {"region": "lungs_masked_out"}},
    "frame only": {"remedies": {"region": "frame_only"}},
}
"""Changes of the `data` section, each tried on films that are otherwise as they are."""

PROBES = ("trivial_without_shape", "border", "thumbnail_16")


def trials_of(data, *, masks):
    """The data section of each trial, which starts from that of the study without its remedies.

    Without `masks` of the lungs, trials that need them are left out. `UNTREATED` comes first; `OWN`
    last, if the study has remedies of its own.
    """
    plain = data.model_dump() | {"remedies": {}}
    trials = {name: Data.model_validate(plain | changes) for name, changes in TRIALS.items()}
    kept = {n: d for n, d in trials.items() if masks or d.remedies.region not in MASKED}
    own = {OWN: data} if data.remedies.active else {}
    return {UNTREATED: Data.model_validate(plain), **kept, **own}


def probe_trials(index, root, trials, *, size, folder, seed, report=None):
    """Run the probes on the films of each trial.

    Parameters
    ----------
    index, root
        As in `lib.data.cache.build`.
    trials
        Of `trials_of`.
    size : int
        Side of the squares in pixels, of which thumbnails and borders are taken.
    folder : path-like
        For the films of a trial while it runs.
    seed : int
        Of the folds.
    report : callable, optional
        Called as ``report(done, total)`` after each trial.

    Returns
    -------
    pandas.DataFrame
        ``trial``, ``kind`` ("remedy", or "control" where a region is hidden), ``probe``, ``films``,
        ``balanced_accuracy``, ``sd`` (over the folds), ``chance`` and ``change`` (against the same
        probe on the films as they are).
    """
    rows = []
    for number, (name, data) in enumerate(trials.items(), start=1):
        kind = "remedy" if data.remedies.region == "none" else "control"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as place:
            found = _probes(index, root, data, size=size, folder=place, seed=seed)
        rows += [
            {"trial": name, "kind": kind, "probe": probe, "films": films}
            | {key: values[key] for key in ("balanced_accuracy", "sd", "chance")}
            for probe, (films, values) in found.items()
        ]
        if report:
            report(number, len(trials))
    table = pd.DataFrame(rows)
    before = table[table["trial"] == UNTREATED].set_index("probe")["balanced_accuracy"]
    return table.assign(change=table["balanced_accuracy"] - table["probe"].map(before))


def _probes(index, root, data, *, size, folder, seed):
    films, _ = image_cache.build(
        index, root, sizes=[size], aspect=data.aspect, remedies=data.remedies, views=data.views,
        folder=folder, measure=measure,
    )  # fmt: skip
    twice = data.duplicates
    films, _ = duplicates.resolve(films, conflicting=twice.conflicting_labels, copies=twice.copies)
    pairs = duplicates.find(films, films["phash"], distance=twice.distance)
    groups = duplicates.groups(films, pairs if twice.near == "group" else pairs[pairs["identical"]])
    cache = image_cache.load(Path(folder) / f"images_{size}.npy")
    small = probes.thumbnails((cache[row] for row in films["row"]), 32)
    how = {"folds": probes.possible_folds(films.assign(patient_id=groups)), "seed": seed}
    found = probes.all_probes(films, films, small, groups=groups, names=PROBES, **how)
    found["thumbnail_32"] = probes.thumbnail_probe(small, films["label"], groups, **how)
    return {name: (len(films), values) for name, values in found.items()}
