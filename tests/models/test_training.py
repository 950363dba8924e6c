"""Training: cached features, resuming, the matched placebo, what is kept."""

import keras
import numpy as np
import pandas as pd
import pytest

from lib.data.batches import Films
from lib.models import backbones, training, training_loop
from lib.study.errors import ArtefactError
from lib.study.params import Augmentation, Finetune, Runtime, Transfer

pytestmark = pytest.mark.network

NAMES = ("a", "b", "c")
RUNTIME = Runtime()


@pytest.fixture
def split():
    """Bright, dark and striped films: learnable by the tiny model in a few epochs."""
    generator = np.random.default_rng(0)
    labels = np.arange(45) % 3
    images = generator.integers(90, 120, (45, 32, 32))
    images[labels == 0] += 100
    images[labels == 1] -= 80
    images[labels == 2, ::2] += 120
    images = images.astype(np.uint8)
    rows = np.arange(45)
    return Films(images, rows[:30], labels[:30]), Films(images, rows[30:], labels[30:])


def of(split, params, tmp_path, **more):
    """A training of these films."""
    known = {"classes": NAMES, "runtime": RUNTIME, "seed": 4, "state": tmp_path / "state",
             "report": lambda line: None}  # fmt: skip
    return training.Run(train=split[0], validation=split[1], params=params, **known | more)


def test_head_on_cached_features_equals_head_through_the_backbone(tiny_model, split, tmp_path):
    params = Transfer(epochs=4, batch_size=8, dropout=0.4, learning_rate=0.01)
    heads = []
    for cached in (True, False):
        model = tiny_model(dropout=params.dropout)
        features = training.pooled_features(model, split[0].images, batch_size=7)
        history = training.train_transfer(
            model, of(split, params, tmp_path), features=features if cached else None
        )
        heads.append((model.get_layer("logits").get_weights(), history))
    for a, b in zip(heads[0][0], heads[1][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(heads[0][1], heads[1][1], rtol=1e-3, atol=1e-4)
    start = tiny_model(dropout=params.dropout).get_layer("logits").get_weights()[0]
    assert np.abs(heads[0][0][0] - start).max() > 1e-3, "the head did not learn"


def test_the_backbone_is_untouched_by_transfer_and_placebo(tiny_model, split, tmp_path):
    model = tiny_model()
    before = [w.copy() for w in model.get_weights()[:-2]]
    training.train_transfer(model, of(split, Transfer(epochs=2), tmp_path))
    params = Finetune(epochs=3, batch_size=8)
    training.train_placebo(model, of(split, params, tmp_path), kept_epoch=2)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()[:-2], strict=True))
    training.train_finetune(model, of(split, params, tmp_path))
    assert any((a != b).any() for a, b in zip(before, model.get_weights()[:-2], strict=True))


def test_a_learnable_task_is_learnt(tiny_model, split, tmp_path):
    """Both stages tell bright, dark and striped films apart, far from where processors differ.

    The margins are wide: both areas on unseen films are 1.000, from any initial weights.
    """
    model = tiny_model()
    transfer = Transfer(epochs=30, batch_size=8, learning_rate=0.03, patience=30)
    history = training.train_transfer(model, of(split, transfer, tmp_path))
    kept = history[history["kept"]].iloc[0]
    assert kept["train_loss"] < 0.8 * history["train_loss"].iloc[0]
    assert kept["macro_auc"] > 0.9
    finetune = Finetune(epochs=6, batch_size=8, learning_rate=0.01)
    tuned = training.train_finetune(model, of(split, finetune, tmp_path))
    assert tuned.loc[tuned["kept"], "macro_auc"].iloc[0] > 0.95
    assert tuned.loc[tuned["kept"], "loss"].iloc[0] < 0.5 * kept["loss"]  # (0.000 against 0.6)


def test_placebo_takes_the_steps_that_the_kept_fine_tuning_took(tiny_model, split, tmp_path):
    params = Finetune(epochs=4, batch_size=8, learning_rate=0.01)
    tuned = training.train_finetune(tiny_model(), of(split, params, tmp_path))
    kept = int(tuned.loc[tuned["kept"], "epoch"].iloc[0])
    placebo = training.train_placebo(tiny_model(), of(split, params, tmp_path), kept_epoch=kept)
    assert placebo["steps"].iloc[-1] == tuned.loc[tuned["kept"], "steps"].iloc[0] == kept * 4
    assert placebo["kept"].tolist() == [False] * (kept - 1) + [True]


def test_shuffled_labels_take_the_same_steps_and_teach_nothing_of_the_classes(
    tiny_model, split, tmp_path
):
    params = Finetune(epochs=8, batch_size=8, learning_rate=0.01, patience=8)
    start = tiny_model().get_weights()
    model = tiny_model()
    tuned = training.train_finetune(tiny_model(), of(split, params, tmp_path))
    run = of(split, params, tmp_path)
    shuffled = training.train_shuffled(model, run, kept_epoch=6)
    assert shuffled["steps"].iloc[-1] == 6 * 4 and shuffled["kept"].tolist() == [False] * 5 + [True]
    assert shuffled["converged"].isna().all()
    moved = [np.abs(a - b).max() for a, b in zip(start[:-2], model.get_weights()[:-2], strict=True)]
    assert max(moved) > 1e-3, "the backbone learns"
    # Wide margins: what is learnable falls below a third of guessing, noise stays near it.
    assert tuned["train_loss"].iloc[5] < 0.5 * shuffled["train_loss"].iloc[5]
    assert (run.train.labels == split[0].labels).all(), "the films themselves keep their labels"


def test_an_interrupted_run_ends_where_an_unbroken_one_does(tiny_model, split, tmp_path):
    params = Finetune(
        epochs=4, batch_size=8, learning_rate=0.01, patience=4,
        augmentation=Augmentation(rotation_degrees=5, brightness=0.1),
    )  # fmt: skip

    whole = tiny_model(dropout=0.3)
    expected = training.train_finetune(whole, of(split, params, tmp_path, key="k"))

    class Killed(Exception):
        pass

    def kill(line):
        if line.startswith("epoch 2/"):
            raise Killed

    with pytest.raises(Killed):
        training.train_finetune(
            tiny_model(dropout=0.3), of(split, params, tmp_path, key="k", report=kill)
        )
    assert (tmp_path / "state" / "state.json").exists()
    lines = []
    model = tiny_model(dropout=0.3, seed=9)  # a fresh process has other initial weights
    resumed = training.train_finetune(
        model, of(split, params, tmp_path, key="k", report=lines.append)
    )
    assert [line.split(":")[0] for line in lines] == ["epoch 3/4", "epoch 4/4"]
    pd.testing.assert_frame_equal(resumed, expected, rtol=1e-4)
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert not (tmp_path / "state").exists()


def test_the_weights_of_every_epoch_are_kept_also_after_an_interruption(
    tiny_model, split, tmp_path
):
    params = Finetune(epochs=3, batch_size=8, learning_rate=0.01, patience=3)
    folder = tmp_path / "epochs"

    def kill(line):
        if line.startswith("epoch 2/"):
            raise InterruptedError

    options = {"key": "k", "epochs": folder}
    with pytest.raises(InterruptedError):
        training.train_finetune(tiny_model(), of(split, params, tmp_path, report=kill, **options))
    assert not folder.exists()
    model = tiny_model()
    history = training.train_finetune(model, of(split, params, tmp_path, **options))
    files = [training_loop.epoch_file(folder, epoch) for epoch in (1, 2, 3)]
    assert sorted(folder.iterdir()) == files
    kept = history.loc[history["kept"], "epoch"].iloc[0]
    again = tiny_model(seed=9)
    training_loop.load_epoch(again, files[kept - 1])
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    first, last = (dict(np.load(file)) for file in (files[0], files[-1]))
    assert any((first[name] != last[name]).any() for name in first)
    files[0].write_bytes(files[0].read_bytes()[:200])
    with pytest.raises(ArtefactError, match=r"epoch-001\.npz: not the weights of an epoch"):
        training_loop.load_epoch(again, files[0])


@pytest.mark.parametrize("fault", ["other key", "truncated state", "missing weights"])
def test_a_state_that_does_not_fit_is_not_used(tiny_model, split, tmp_path, fault):
    params = Finetune(epochs=2, batch_size=8)

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train_finetune(tiny_model(), of(split, params, tmp_path, key="one", report=stop))
    state = tmp_path / "state"
    if fault == "truncated state":
        (state / "state.json").write_text('{"key": "one", "fi')
    if fault == "missing weights":
        for file in state.glob("epoch-*"):
            file.unlink()
    lines = []
    key = "two" if fault == "other key" else "one"
    training.train_finetune(tiny_model(), of(split, params, tmp_path, key=key, report=lines.append))
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def fitted(model, losses, folder, **rule):
    """A training with these validation losses, and the first weights after each of its epochs."""
    losses, seen = iter(losses), []
    schedule = training_loop.Schedule(9, 0.1, patience=2, **rule)
    training_loop.compile_model(model, schedule, steps_per_epoch=1, runtime=RUNTIME)

    def validate(model):
        seen.append(model.get_weights()[0].copy())
        return {"loss": next(losses)}

    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32), np.uint8)
    data = Films(images, np.arange(6), np.arange(6) % 3)
    history = training_loop.fit(
        model, lambda epoch: training.batches(data, batch_size=6, shuffle_seed=epoch), validate,
        schedule, seed=1, state=folder / "s", report=lambda _: None,
    )  # fmt: skip
    return history, seen


def test_the_best_epoch_is_kept_and_patience_ends_the_run(tiny_model, tmp_path):
    model = tiny_model()
    history, seen = fitted(model, [3.0, 1.0, 2.0, 2.5, 0.1], tmp_path)
    assert history["loss"].tolist() == [3.0, 1.0, 2.0, 2.5]
    assert history["kept"].tolist() == [False, True, False, False]
    np.testing.assert_array_equal(model.get_weights()[0], seen[1])


def test_a_gain_within_the_tolerance_is_none_and_the_lowest_loss_is_kept(tiny_model, tmp_path):
    history, _ = fitted(tiny_model(), [3.0, 1.0, 0.95, 0.92, 0.1], tmp_path, tolerance=0.1)
    assert history["converged"].tolist() == [False, False, False, True]
    assert history["kept"].tolist() == [False, False, False, True]


def test_both_stages_follow_the_rule_of_their_parameters_and_the_placebo_none(
    tiny_model, split, tmp_path
):
    """So little is learnt at this rate that no epoch gains as much as the tolerance."""
    rule = {"epochs": 9, "patience": 2, "tolerance": 0.9, "learning_rate": 1e-4}
    model = tiny_model()
    for stage, params in (
        (training.train_transfer, Transfer(**rule)),
        (training.train_finetune, Finetune(**rule)),
    ):
        history = stage(model, of(split, params, tmp_path))
        assert history["converged"].tolist() == [False, False, True]
    placebo = training.train_placebo(model, of(split, Finetune(**rule), tmp_path), kept_epoch=2)
    assert placebo["converged"].isna().all()


def test_warm_up_and_decay_of_the_rate():
    schedule = training_loop.Schedule(epochs=5, learning_rate=0.2, warmup_epochs=1)
    rate = training_loop.optimizer(schedule, steps_per_epoch=10)._learning_rate
    assert float(rate(0)) == 0
    assert float(rate(5)) == pytest.approx(0.1)
    assert float(rate(10)) == pytest.approx(0.2)
    assert float(rate(30)) == pytest.approx(0.2 * (0.1 + 0.9 * 0.5))  # half of the cosine
    assert float(rate(50)) == pytest.approx(0.02)


def test_a_diverging_loss_is_an_error_that_says_what_to_do(tiny_model, split, tmp_path):
    model = tiny_model()
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel * np.nan, bias])
    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        training.train_finetune(model, of(split, Finetune(epochs=2), tmp_path))


def test_augmented_films_do_not_use_the_features_of_undistorted_ones(tiny_model, split, tmp_path):
    params = Transfer(epochs=1, augmentation=Augmentation(zoom=0.2))
    wrong = np.full((45, 8), np.nan, np.float32)
    model = tiny_model()
    history = training.train_transfer(model, of(split, params, tmp_path), features=wrong)
    assert np.isfinite(history["train_loss"]).all()


def test_head_logits_are_those_of_the_model(tiny_model, split):
    model = tiny_model()
    features = training.pooled_features(model, split[0].images, batch_size=7)
    whole = training_loop.predict(model, split[1], batch_size=7)
    ours = training.head_logits(model, features[split[1].rows])
    np.testing.assert_allclose(ours, whole, rtol=1e-5, atol=1e-6)


def test_checkpoints_of_another_model_are_refused(tiny_model, tmp_path):
    tiny_model(classes=4).save(tmp_path / "four.keras")
    with pytest.raises(ValueError, match="not a checkpoint of tiny with 3 classes"):
        backbones.load_weights(tiny_model(classes=3), tmp_path / "four.keras")
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.keras: not a checkpoint"):
        backbones.load_weights(tiny_model(), tmp_path / "text.keras")


def test_seeds_of_one_start_differ_and_repeat(tiny_model, split, tmp_path):
    params = Finetune(epochs=1, batch_size=8)
    runs = []
    for seed in (1, 2, 1):
        model = tiny_model(dropout=0.3)
        training.train_finetune(model, of(split, params, tmp_path, seed=seed))
        runs.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert np.abs(runs[0] - runs[1]).max() > 1e-4
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-5, atol=1e-7)
    assert keras.config.dtype_policy().name == "float32"
