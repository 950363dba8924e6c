"""The rule of convergence on curves whose answer is plain."""

import pandas as pd
import pytest

from lib.models import convergence


@pytest.mark.parametrize(
    ("losses", "tolerance", "flat"),
    [
        ([], 0, 0),
        ([2.0], 0.1, 0),
        ([2.0, 1.0, 0.5], 0.1, 0),  # still falling
        ([1.0, 0.95, 0.92, 0.91], 0.1, 3),
        ([1.0, 0.95, 0.89, 0.88], 0.1, 1),  # a slow fall adds up to a gain
        ([1.0, 0.5, 0.7, 0.9], 0.0, 2),  # worse again
        ([1.0, 0.9], 0.1, 1),  # exactly the tolerance is no gain
        ([1.0, float("nan"), 0.5], 0.1, 0),
    ],
)
def test_epochs_without_gain_are_those_since_the_last_fall(losses, tolerance, flat):
    assert convergence.epochs_without_gain(losses, tolerance) == flat


def curve(losses, converged):
    best = losses.index(min(losses))
    kept = [epoch == best for epoch in range(len(losses))]
    return pd.DataFrame({"loss": losses, "kept": kept, "converged": converged})


def test_a_training_ends_in_one_of_four_ways():
    start = curve([1.0, 0.8], [False, True])
    better, worse = curve([0.9, 0.5], [False, False]), curve([1.2, 0.8], [False, True])
    found = {
        "transfer-s0": convergence.ending("transfer-s0", start, start),
        "finetune-s0": convergence.ending("finetune-s0", better, start),
        "finetune-s1": convergence.ending("finetune-s1", worse, start),
        "corrected-s0": convergence.ending("corrected-s0", worse, start),
        "placebo-s0": convergence.ending("placebo-s0", better.assign(converged=None), start),
    }
    assert list(found.values()) == ["converged", "not converged", "failed", "converged", "matched"]
    assert set(found.values()) == set(convergence.ENDINGS)
    table = pd.DataFrame(
        [["resnet50v2", name, split, told] for name, told in found.items() for split in "ab"],
        columns=["architecture", "checkpoint", "split", "training"],
    )
    assert convergence.sentence(table) == (
        "Trainings that converged: 1 of 1 (transfer), 0 of 2 (finetune), 1 of 1 (corrected). "
        "No better than where they started: resnet50v2 finetune-s1."
    )
