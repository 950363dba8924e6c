"""What was published, and our closest measurement beside it.

The claims are those of Elangovan & Ting, arXiv:2604.08513, and of its companion paper where it says
so. Data set, image size, head, optimiser, epochs, layer names, threshold and seeds of the paper are
not known, and its weights are not ours. So nothing here confirms or refutes the paper: the table
says whether the same statement holds in this study.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.hypotheses.answers import BLANK_SHARE, REFUTED, SUPPORTED, UNDEFINED
from lib.study.names import ARCHITECTURE_TITLES

COLUMNS = ("claim", "published", "measured", "holds", "differs")
YES, NO, OPEN, BLANK = "yes", "no", "not shown", "cannot be judged"
ROLE = "auto_conv"
"""The layer behind "the penultimate convolutional layer", inferred from tf-keras-vis."""
SURE = 0.95
DIFFERS = {
    "accuracy": "other films; the data set of the paper is not known",
    "coarse location": "the measure of the paper is not known; ours is the shift of the centroid, "
    "judged against unrelated films (H4)",
}
OTHERWISE = "layer inferred, threshold of the IoU not known, other films and source weights"


def beside_the_paper(
    performance: pd.DataFrame, drift: pd.DataFrame, ranks: pd.DataFrame,
    verdicts: Mapping[str, str],
) -> pd.DataFrame:  # fmt: skip
    """Each published claim with our closest measurement and whether it holds here.

    Parameters
    ----------
    performance, drift, ranks : DataFrame
        The tables of these names.
    verdicts : mapping of str to str
        By hypothesis.

    Returns
    -------
    DataFrame
        `COLUMNS`, all of them text. ``holds`` is "yes", "no", "not shown" (the data leave it open)
        or "cannot be judged" (more than a fifth of the pairs is blank, or nothing was compared). A
        ranking holds at a bootstrap probability of at least 0.95 and does not at 0.05 or less.
    """
    found = _Tables(performance, drift, ranks)
    rows = {
        "accuracy": ("more than 99 % AUC for all three", found.accuracy()),
        "coarse location": ("stable localisation", _by(verdicts, "H4", found.shift())),
        "LayerCAM, highest": (
            "InceptionV3 is the most stable (IoU 0.777, companion paper)",
            found.rank("layercam", "inceptionv3", first=True),
        ),
        "LayerCAM, lowest": (
            "ResNet50V2 is the least stable", found.rank("layercam", "resnet50v2", first=False),
        ),
        "Grad-CAM++, highest": (
            "DenseNet201 is the most stable",
            found.rank("gradcam_plus_plus", "densenet201", first=True),
        ),
        "InceptionV3 under Grad-CAM++": (
            "its score falls by 17.3 %",
            found.relative("inceptionv3", "layercam", "gradcam_plus_plus"),
        ),
        "reversal": ("the ranking reverses with the method", _by(verdicts, "H2", "see H2")),
    }  # fmt: skip
    told = [
        (claim, published, *measured, DIFFERS.get(claim, OTHERWISE))
        for claim, (published, measured) in rows.items()
    ]
    return pd.DataFrame(told, columns=COLUMNS)


def _by(verdicts: Mapping[str, str], name: str, measured: str) -> tuple:
    """A claim that a hypothesis answers."""
    answers = {SUPPORTED: YES, REFUTED: NO, UNDEFINED: BLANK}
    return measured, answers.get(verdicts.get(name), OPEN)


def _title(architecture: str) -> str:
    return ARCHITECTURE_TITLES[architecture]


class _Tables:
    """What the claims are read from, in the paper's cells: `ROLE`, transfer → fine-tuned."""

    def __init__(self, performance, drift, ranks):
        test = performance[performance["split"] == "test"]
        self.tuned = test[test["checkpoint"].str.startswith("finetune")]
        self.drift = drift[drift["role"] == ROLE].set_index(
            ["metric", "architecture", "method", "pairing"]
        )
        self.ranks = ranks[ranks["role"] == ROLE]
        self.architectures = [
            name for name in ARCHITECTURE_TITLES if name in set(drift["architecture"])
        ]

    def accuracy(self) -> tuple[str, str]:
        areas = self.tuned.groupby("architecture")["macro_auc"].mean()
        text = ", ".join(f"{_title(name)} {areas[name]:.3f}" for name in self.architectures)
        return f"macro AUC on test films {text}", YES if areas.min() > 0.99 else NO

    def shift(self) -> str:
        parts = []
        for name in self.architectures:
            own, other = (
                self.mean("centroid_displacement", name, "layercam", pairing)
                for pairing in ("finetune", "ceiling")
            )
            parts.append(f"{_title(name)} {own:.3f} ({other:.3f})")
        return "shift in shares of the diagonal, in brackets of unrelated films: " + ", ".join(
            parts
        )

    def mean(self, *name: str) -> float:
        return float(self.drift.loc[name, "mean"]) if name in self.drift.index else np.nan

    def overlap(self, architecture: str, method: str) -> float:
        return self.mean("iou_top20", architecture, method, "finetune")

    def blank(self, architectures, method: str) -> str:
        """Which cells are too blank or missing, in words; empty if none."""
        parts = []
        for architecture in architectures:
            name = ("iou_top20", architecture, method, "finetune")
            known = name in self.drift.index
            scored, blank = self.drift.loc[name, ["n", "blank"]] if known else (0, 0)
            total = scored + blank
            if total == 0:
                parts.append(f"{_title(architecture)}: nothing to compare")
            elif blank > BLANK_SHARE * total:
                parts.append(f"{_title(architecture)}: {blank:.0f} of {total:.0f} blank")
        return "; ".join(parts)

    def rank(self, method: str, architecture: str, *, first: bool) -> tuple[str, str]:
        if set(self.architectures) != set(ARCHITECTURE_TITLES):
            return "not all three architectures were compared", BLANK
        if problem := self.blank(self.architectures, method):
            return problem, BLANK
        means = {name: self.overlap(name, method) for name in self.architectures}
        order = sorted(means, key=means.get, reverse=True)
        wanted = 1 if first else len(order)
        rows = self.ranks[
            (self.ranks["method"] == method) & (self.ranks["architecture"] == architecture)
        ]
        chance = float(rows.loc[rows["rank"] == wanted, "probability"].sum())
        text = " > ".join(f"{_title(name)} {means[name]:.2f}" for name in order)
        text += f"; {_title(architecture)} has this place with probability {chance:.2f}"
        return text, YES if chance >= SURE else NO if chance <= 1 - SURE else OPEN

    def relative(self, architecture: str, before: str, after: str) -> tuple[str, str]:
        problems = [self.blank([architecture], method) for method in (before, after)]
        if any(problems):
            return "; ".join(dict.fromkeys(filter(None, problems))), BLANK
        one, other = (self.overlap(architecture, method) for method in (before, after))
        change = other / one - 1 if one > 0 else np.nan
        text = f"overlap of the top 20 % of cells {one:.2f} → {other:.2f}, {change:+.1%}"
        return text + " (no interval)", OPEN if not change > 0 else NO
