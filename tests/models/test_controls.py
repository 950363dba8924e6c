"""Controls that no training made: how far weights are moved, and which part comes from where."""

import numpy as np
import pytest

from lib.models import controls
from lib.models.randomise import randomise
from lib.study.names import sources_of
from lib.study.params import Params
from lib.study.seeds import derive

pytestmark = pytest.mark.network
STATISTICS = ("moving_mean", "moving_variance")


@pytest.fixture
def files(tiny_model, tmp_path):
    """Checkpoints of a transfer and a fine-tuned network, by name."""
    found = {name: tmp_path / f"{name}.keras" for name in ("transfer-s0", "finetune-s1")}
    for seed, file in enumerate(found.values()):
        model = tiny_model(seed=1 + seed)
        norm = model.get_layer("norm")
        norm.set_weights([value + 0.1 * (seed + 1) for value in norm.get_weights()])
        model.save(file)
    return found


def weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def made(tiny_model, files, name, seed=5):
    """Weights of the transfer network, of a control of it and of the fine-tuned one."""
    model, found = tiny_model(), []
    for each in ("transfer-s0", name, "finetune-s1"):
        sources = [files[source] for source in sources_of(each, "transfer-s0")]
        controls.load(model, each, sources, seed=seed)
        found.append(weights(model))
    return found


def test_every_tensor_is_moved_as_far_as_by_fine_tuning_and_elsewhere(tiny_model, files):
    start, moved, tuned = made(tiny_model, files, "perturbed-s1")
    for path, value in start.items():
        change, wanted = moved[path] - value, tuned[path] - value
        if path.endswith(STATISTICS):
            assert (change == 0).all() and (wanted != 0).all()
            continue
        assert np.linalg.norm(change) == pytest.approx(np.linalg.norm(wanted), rel=1e-4)
        if change.size > 50:  # random directions of many dimensions are nearly at right angles
            cosine = (change * wanted).sum() / np.square(wanted).sum()
            assert abs(cosine) < 5 / np.sqrt(change.size)
    again = made(tiny_model, files, "perturbed-s1")[1]
    other = made(tiny_model, files, "perturbed-s1", seed=6)[1]
    for path in ("first/kernel", "second/kernel"):
        (path,) = (each for each in moved if each.endswith(path))
        assert (moved[path] == again[path]).all() and (moved[path] != other[path]).any()


@pytest.mark.parametrize(("name", "head"), [("head_only-s1", True), ("features_only-s1", False)])
def test_the_head_comes_from_one_checkpoint_and_the_rest_from_the_other(
    tiny_model, files, name, head
):
    start, mixed, tuned = made(tiny_model, files, name)
    for path, value in mixed.items():
        from_tuned = ("logits" in path) == head
        assert (value == (tuned if from_tuned else start)[path]).all()


@pytest.mark.parametrize("name", ["perturbed-s1", "head_only-s1", "features_only-s1"])
def test_a_fine_tuning_that_changed_nothing_leaves_every_control_where_it_started(
    tiny_model, files, name
):
    files["finetune-s1"] = files["transfer-s0"]
    start, control, _ = made(tiny_model, files, name)
    assert all((value == start[path]).all() for path, value in control.items())


def test_other_sets_of_maps_are_as_they_were(tiny_model, files):
    start, again, _ = made(tiny_model, files, "repeat-s0")
    assert all((value == start[path]).all() for path, value in again.items())
    random, model = made(tiny_model, files, "randomised-s0")[1], tiny_model()
    model.load_weights(files["transfer-s0"])
    randomise(model, seed=derive(5, "randomise", "tiny"))
    assert all((value == random[path]).all() for path, value in weights(model).items())


def test_controls_are_sets_of_maps_of_every_fine_tuning():
    plain = Params(study="any", input_size={}, seeds=(0, 3), transfer_seeds=(2,), controls=())
    assert plain.map_sets[len(plain.checkpoints) :] == ("repeat-s2", "randomised-s2")
    full = plain.model_copy(update={"controls": ("perturbed", "swapped")})
    assert full.checkpoints == plain.checkpoints
    assert full.map_sets[len(plain.map_sets) :] == (
        "perturbed-s0", "perturbed-s3", "head_only-s0", "head_only-s3", "features_only-s0",
        "features_only-s3",
    )  # fmt: skip
