"""The page for contributors: its examples work as they stand, and its places exist."""

import re

import numpy as np
import pytest

from lib.drift import metrics
from lib.study.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(
    zip(("metric", "method"), re.findall(r"```python\n(.*?)```", PAGE, re.S), strict=True)
)


def test_every_place_that_the_page_names_is_there():
    places = set(re.findall(r"`((?:lib|tests|params|notebooks)/[\w./]*)`", PAGE))
    assert len(places) > 15
    assert not [place for place in places if not (ROOT / place).exists()]


def test_the_example_of_a_metric_works_and_needs_nothing_else(monkeypatch):
    monkeypatch.setattr(metrics, "TABLE", dict(metrics.TABLE))
    exec(EXAMPLES["metric"], vars(metrics))
    try:
        generator = np.random.default_rng(0)
        a, b = generator.gamma(1, 1, (2, 20, 5, 5))
        apart = np.zeros((2, 1, 5, 5))
        apart[0, 0, :2], apart[1, 0, 3:] = 1, 1
        cosine = metrics.cosine
        np.testing.assert_allclose(cosine(a, 2 * a), 1)
        assert cosine(*apart) == [0]
        np.testing.assert_allclose(cosine(a, b), cosine(b, a))
        assert np.isnan(cosine(0 * a[:1], b[:1])).all()
        assert metrics.metric_label("cosine") == "Cosine (0 to 1)"
    finally:
        del metrics.cosine


def test_the_example_of_a_method_is_grad_cam_where_the_gradient_is_the_same_everywhere():
    names = {"np": np}
    exec(EXAMPLES["method"], names)
    generator = np.random.default_rng(0)
    a, g = generator.normal(size=(4, 5, 5, 7)), generator.normal(size=(4, 1, 1, 7))
    g = np.broadcast_to(g, a.shape)
    gradcam = np.maximum(np.einsum("nhwk,nk->nhw", a, g.mean(axis=(1, 2))), 0)
    np.testing.assert_allclose(names["hirescam"](a, g), gradcam, atol=1e-12)


def test_every_name_that_a_docstring_points_to_is_there():
    lost = []
    for file in sorted((ROOT / "lib").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for name in set(re.findall(r"`(lib(?:\.\w+)+)`", text)):
            place, _, inside = name.rpartition(".")
            path = ROOT / name.replace(".", "/")
            if path.is_dir() or path.with_suffix(".py").exists():
                continue
            module = (ROOT / place.replace(".", "/")).with_suffix(".py")
            if not module.exists():  # a method of a class
                module = (ROOT / place.rpartition(".")[0].replace(".", "/")).with_suffix(".py")
            defined = rf"^\s*(?:(?:def|class) {inside}\b|[\w, ]*\b{inside}\b.*[=:])"
            if not module.exists() or not re.search(defined, module.read_text("utf-8"), re.M):
                lost.append(f"{file.relative_to(ROOT)}: {name}")
    assert not lost


@pytest.mark.parametrize("wing", sorted(p.name for p in (ROOT / "lib").iterdir() if p.is_dir()))
def test_every_wing_is_on_the_map_and_says_what_it_is(wing):
    if wing == "__pycache__":
        return
    assert f"| `{wing}/` |" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first = (ROOT / "lib" / wing / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
    assert 3 <= len(first.splitlines()) <= 6 and re.search("[Rr]eads", first)
