"""Attribution on small models with maps that can be computed by hand."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import zoom

from lib.attribution import explainer, maps, shared_pass
from lib.attribution.maps import MapSet
from lib.data.batches import Films
from lib.study.errors import ArtefactError
from lib.study.names import METHODS

pytestmark = pytest.mark.network


def films_of(count, seed, classes=3):
    images = np.random.default_rng(seed).integers(0, 255, (count, 32, 32), np.uint8)
    return Films(images, np.arange(count), np.arange(count) % classes)


def explaining(model, **options):
    return explainer.Explainer(model, {"top": model.get_layer("top")}, **options)


def test_surrogate_has_score_zero_and_the_given_gradient():
    generator = np.random.default_rng(6)
    a, g = (tf.constant(generator.normal(size=(2, 3, 3, 4)), tf.float32) for _ in range(2))
    model = explainer.surrogate((3, 3, 4))
    with tf.GradientTape() as tape:
        tape.watch(a)
        score = model([a, g])
    np.testing.assert_array_equal(score, 0)
    np.testing.assert_array_equal(tape.gradient(score, a), g)


@pytest.mark.parametrize("scale", [200.0, -200.0])
def test_extreme_logits_give_finite_maps(tiny_model, scale):
    model = tiny_model()
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias + scale])
    data = films_of(4, 0)
    explain = explaining(model)
    found = explain(data, list("abcd"), batch_size=3)
    assert np.abs(found.logits).min() > 150
    assert all(np.isfinite(stack).all() for stack in found.maps.values())
    model.get_layer("logits").set_weights([kernel, bias])
    plain = explain(data, list("abcd"), batch_size=3)
    for key, stack in found.maps.items():  # a bias moves the logit, not the evidence
        np.testing.assert_allclose(stack, plain.maps[key], rtol=1e-4, atol=1e-6)


def test_inference_mode_in_dropout_and_batch_norm(tiny_model):
    model = tiny_model(dropout=0.9)
    data = films_of(5, 1)
    explain = explaining(model)
    statistics = model.get_layer("norm").moving_mean.numpy()
    first, second = (explain(data, list("abcde")) for _ in range(2))
    for key in first.maps:
        np.testing.assert_array_equal(first.maps[key], second.maps[key])
    np.testing.assert_array_equal(statistics, model.get_layer("norm").moving_mean.numpy())


def test_other_weights_can_be_loaded_between_calls(tiny_model):
    model, other = tiny_model(seed=1), tiny_model(seed=2)
    data = films_of(3, 2)
    explain = explaining(model)
    before = explain(data, list("abc"))
    model.set_weights(other.get_weights())
    after = explain(data, list("abc"))
    fresh = explaining(other)(data, list("abc"))
    np.testing.assert_allclose(after.logits, fresh.logits, rtol=1e-5)
    assert not np.allclose(before.logits, after.logits)


def test_what_cannot_be_explained_is_refused(tiny_model):
    model = tiny_model()
    with pytest.raises(ValueError, match=r"'average_pool' has an output of shape"):
        explainer.Explainer(model, {"pool": model.get_layer("average_pool")})
    with pytest.raises(ValueError, match="expected some of layercam"):
        explaining(model, methods=["scam"])
    side = keras.layers.Conv2D(2, 1, name="side")(model.get_layer("second").output)
    branched = keras.Model(model.input, [model.output, side])
    run = shared_pass.activations_and_gradients(model, [branched.get_layer("side")])
    with pytest.raises(ValueError, match="'side' does not feed the logits"):
        run(tf.zeros((1, 32, 32, 3)), tf.constant([0]))
    explain = explaining(model)
    data = films_of(2, 3)
    with pytest.raises(ValueError, match="1 image ids for 2 films"):
        explain(data, ["a"])
    for wrong in (3, -1, "all"):
        with pytest.raises(ValueError, match=r"explained = .*: expected 'true_class', 'pred"):
            explain(data, ["a", "b"], explained=wrong)


def test_map_sets_round_trip_without_pickle(tmp_path):
    stack = np.random.default_rng(3).random((2, 5, 5), np.float32)
    made = MapSet(np.array(["ä,1", "b\n2"]), np.array([0, 1]), np.array([2, 1]),
                  np.ones((2, 3), np.float32),
                  {("auto_conv", "layercam"): stack}, {"auto_conv": "conv2d_93"})  # fmt: skip
    made.save(tmp_path / "maps.npz")
    read = maps.MapSet.load(tmp_path / "maps.npz")
    assert read.image_id.tolist() == ["ä,1", "b\n2"] and read.layers == made.layers
    assert read.label.tolist() == [0, 1] and read.explained_class.tolist() == [2, 1]
    assert read.logits.tolist() == [[1, 1, 1]] * 2 and read.logits.dtype == np.float32
    np.testing.assert_array_equal(read.maps["auto_conv", "layercam"], stack)
    np.savez(tmp_path / "bad.npz", image_id=np.array([{"code": 1}], dtype=object))
    np.savez(tmp_path / "part.npz", image_id=np.array(["a"]), logits=np.zeros((1, 2)))
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "maps.npz").read_bytes()[:-40])
    for broken in ("bad.npz", "none.npz", "part.npz", "text.npz", "cut.npz"):
        with pytest.raises(ArtefactError, match=r"not a readable set .* rerun 04_attribute for"):
            MapSet.load(tmp_path / broken)


def test_the_explained_class_is_the_true_one_the_predicted_one_or_a_given_one(tiny_model):
    model, data, ids = tiny_model(seed=4), films_of(7, 4), list("abcdefg")
    explain = explaining(model, methods=["layercam"])
    of_class = [explain(data, ids, explained=c, batch_size=3) for c in range(3)]
    for choice in ("true_class", "prediction"):
        found = explain(data, ids, explained=choice, batch_size=3)
        expected = data.labels if choice == "true_class" else found.logits.argmax(axis=1)
        np.testing.assert_array_equal(found.explained_class, expected)
        np.testing.assert_array_equal(found.label, data.labels)
        for film, label in enumerate(expected):
            np.testing.assert_array_equal(
                found.maps["top", "layercam"][film], of_class[label].maps["top", "layercam"][film]
            )
    assert (explain(data, ids, explained="prediction").explained_class != data.labels).any()


def test_graphs_are_traced_by_one_thread_while_no_other_runs(tiny_model, monkeypatch):
    model, running, alone = tiny_model(seed=4), set(), []
    explain = explaining(model, methods=["layercam"])
    plain = explain._explain

    def watched(films, classes):
        me = object()
        others = set(running)
        running.add(me)
        found = plain(films, classes)
        time.sleep(0.05)
        alone.append((len(films), not others and running == {me}))
        running.discard(me)
        return found

    monkeypatch.setattr(explain, "_explain", watched)
    explain(films_of(17, 4), [str(film) for film in range(17)], batch_size=3)
    # The first three films and the last two are new; what lies between may run beside another.
    assert [films for films, _ in alone] == [3, 3, 3, 3, 3, 2]
    assert alone[0][1] and alone[-1][1] and not all(by_itself for _, by_itself in alone)
    again = explain(films_of(17, 4), [str(film) for film in range(17)], batch_size=3)
    assert len(again.logits) == 17 and not all(by_itself for _, by_itself in alone[6:])


def test_the_gradient_of_the_probability_is_the_chain_rule_and_vanishes(tiny_model):
    model = tiny_model(seed=5)
    data, layer = films_of(4, 5), model.get_layer("top")
    films = tf.constant(np.repeat(data.images[..., None], 3, -1), tf.float32)
    of_logit, of_probability = (
        shared_pass.activations_and_gradients(model, [layer], score=score)
        for score in ("logit", "probability")
    )
    by_class = np.stack([of_logit(films, tf.fill(4, c))[2][0] for c in range(3)])
    logits, _, (found,) = of_probability(films, tf.constant(data.labels))
    p = np.asarray(tf.nn.softmax(logits))
    own = p[np.arange(4), data.labels][:, None, None, None]
    mean = np.einsum("nc,cnhwk->nhwk", p, by_class)
    expected = own * (by_class[data.labels, np.arange(4)] - mean)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights(
        [kernel, bias + np.array([40.0, 0, 0])]
    )  # p of class 0 is 1
    _, _, (saturated,) = of_probability(films, tf.zeros(4, tf.int64))
    assert np.abs(saturated).max() < 1e-6 * np.abs(expected).max()


def test_score_cam_follows_its_formula_film_by_film(tiny_model):
    model, data = tiny_model(seed=6), films_of(3, 6)
    layer = model.get_layer("top")
    films = np.repeat(data.images[..., None], 3, -1).astype(np.float32)
    activations = keras.Model(model.input, layer.output).predict(films, verbose=0)
    for channels in (8, 3):
        found = explainer.score_cam(model, layer, films, data.labels, channels=channels)
        for film, a, label, map_ in zip(films, activations, data.labels, found, strict=True):
            chosen = np.argsort(-a.std(axis=(0, 1)), kind="stable")[:channels]
            weights = []
            for k in chosen:
                mask = zoom(a[..., k], 4, order=1, mode="nearest")
                mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-7)
                weights.append(tf.nn.softmax(model(film[None] * mask[None, ..., None]))[0, label])
            expected = np.maximum((a[..., chosen] * np.array(weights)).sum(-1), 0)
            np.testing.assert_allclose(map_, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_the_explainer_offers_every_method(tiny_model):
    model, data = tiny_model(seed=7), films_of(3, 7)
    explain = explaining(model, methods=METHODS, score_cam_channels=4)
    found = explain(data, list("abc"), batch_size=2)
    assert set(found.maps) == {("top", method) for method in METHODS}
    for stack in found.maps.values():
        assert stack.dtype == np.float32 and np.isfinite(stack).all() and stack.min() >= 0
        assert stack.max() > 0
