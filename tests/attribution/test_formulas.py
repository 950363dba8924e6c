"""The readings of the formulas, against explicit loops and against tf-keras-vis."""

import numpy as np
import pytest

from lib.attribution import explainer, formulas
from lib.study.names import GRADIENT_METHODS


@pytest.fixture
def passed():
    """Activations and gradients of five films at a layer with negative values in both."""
    generator = np.random.default_rng(8)
    return (generator.normal(size=(5, 4, 3, 6)).astype(np.float32) for _ in range(2))


def by_loops(a, g, *, normalise):
    """Grad-CAM++ of one film, place by place, in float64."""
    (height, width, channels), total = a.shape, a.astype(float).sum(axis=(0, 1))
    map_ = np.zeros((height, width))
    for k in range(channels):
        alpha = {}
        for place in np.ndindex(height, width):
            slope = float(g[(*place, k)])
            if normalise == "positive" and slope <= 0:
                continue
            alpha[place] = slope**2 / (2 * slope**2 + total[k] * slope**3)
        scale = 1.0 if normalise == "none" else sum(alpha.values())
        weight = sum(v / scale * max(float(g[(*p, k)]), 0) for p, v in alpha.items())
        map_ += weight * a[..., k]
    return np.maximum(map_, 0)


@pytest.mark.parametrize(
    ("function", "normalise"),
    [
        (formulas.gradcam_plus_plus, "all"),
        (formulas.gradcam_plus_plus_positive, "positive"),
        (formulas.gradcam_plus_plus_plain, "none"),
    ],
)
def test_each_reading_of_grad_cam_plus_plus(passed, function, normalise):
    a, g = passed
    expected = np.stack([by_loops(x, y, normalise=normalise) for x, y in zip(a, g, strict=True)])
    np.testing.assert_allclose(function(a, g), expected, rtol=2e-3, atol=2e-4 * expected.max())


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_numpy_equals_tf_keras_vis(passed, method):
    a, g = passed
    theirs = explainer.reader(method, (4, 3, 6))(a, g)
    assert theirs.dtype == np.float32 and theirs.shape == (5, 4, 3)
    ours = getattr(formulas, method)(a, g)
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4 * theirs.max())


def test_where_gradients_do_not_vary_only_the_plain_form_differs_from_layercam(passed):
    a, g = passed
    a, g = np.abs(a), np.broadcast_to(g[:, :1, :1], g.shape)

    def gap(function):
        maps, reference = function(a, g), formulas.layercam(a, g)
        scale = maps.max(axis=(1, 2), keepdims=True), reference.max(axis=(1, 2), keepdims=True)
        return np.abs(maps / scale[0] - reference / scale[1]).max()

    assert gap(formulas.gradcam_plus_plus) < 1e-5
    assert gap(formulas.gradcam_plus_plus_positive) < 1e-5
    assert gap(formulas.gradcam_plus_plus_plain) > 1e-2


def test_no_gradient_no_evidence(passed):
    a, _ = passed
    for function in (*formulas.VARIANTS.values(), formulas.layercam, formulas.gradcam):
        np.testing.assert_array_equal(function(a, np.zeros_like(a)), 0)


def test_minmax_is_ruled_by_epsilon_where_a_map_is_faint():
    strong = np.array([[[1.0, 2.0], [3.0, 5.0]]])
    np.testing.assert_allclose(formulas.minmax(strong)[0], [[0, 0.25], [0.5, 1]], atol=1e-6)
    faint = formulas.minmax(1e-9 * strong)
    assert faint.max() < 0.05
    np.testing.assert_array_equal(formulas.minmax(np.full((1, 2, 2), 3.0)), 0)
