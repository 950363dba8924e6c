"""When a training has converged, and how each training of a study ended.

The rule is one of early stopping, stated in the parameters before the run: converged is a network
whose validation loss has not fallen by more than the ``tolerance`` for ``patience`` epochs. A
training that its upper bound of epochs ended first has not converged, and its drift is that of a
network on its way.
"""

from collections.abc import Iterable

import pandas as pd

from lib.study.names import MATCHED, stage_of

ENDINGS = {
    "converged": "the validation loss was flat, by the rule stated before the run",
    "not converged": "the bound of epochs came first: drift is that of a network on its way",
    "failed": "no epoch was better than where it started; it stays in and is named",
    "matched": "a control: as many steps as its fine-tuning took",
}
"""How a training can end, and what that means for a reader of its numbers."""


def epochs_without_gain(losses: Iterable[float], tolerance: float) -> int:
    """Epochs since the validation loss last fell by more than the tolerance.

    Both in nats. A slow fall counts as a gain once it has added up to more than the tolerance; the
    first epoch always is one, for which the answer is 0.
    """
    best, flat = float("inf"), -1
    for loss in losses:
        flat += 1
        if loss < best - tolerance:
            best, flat = loss, 0
    return max(flat, 0)


def ending(checkpoint: str, history: pd.DataFrame, before: pd.DataFrame) -> str:
    """How the training of a checkpoint ended, one of `ENDINGS`.

    Parameters
    ----------
    checkpoint : str
    history, before : DataFrame
        Learning curves of the checkpoint and of the one it started from (a transfer is its own), as
        of `lib.models.training_loop.fit`.
    """
    stage = stage_of(pd.Series([checkpoint]))[0]
    if stage in MATCHED:
        return "matched"
    # Corrected films are others than those the transfer was validated on: no loss to compare with.
    if (
        stage in ("finetune", "restarted")
        and not history["loss"].min() < before.loc[before["kept"], "loss"].iloc[0]
    ):
        return "failed"
    return "converged" if bool(history["converged"].iloc[-1]) else "not converged"


def sentence(performance: pd.DataFrame) -> str:
    """How the trainings of ``performance.csv`` ended: counts, and those that failed by name."""
    runs = performance.drop_duplicates(["architecture", "checkpoint"])
    runs = runs[runs["training"] != "matched"]
    stages = stage_of(runs["checkpoint"])
    counted = ", ".join(
        f"{(part['training'] == 'converged').sum()} of {len(part)} ({stage})"
        for stage, part in runs.groupby(stages, sort=False)
    )
    failed = runs[runs["training"] == "failed"]
    named = ", ".join(f"{row.architecture} {row.checkpoint}" for row in failed.itertuples())
    told = f"Trainings that converged: {counted}."
    return told + (f" No better than where they started: {named}." if named else "")
