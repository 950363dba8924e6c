"""Known answers for the association of class and source, and for measures by class."""

import numpy as np
import pandas as pd
import pytest

from lib.data.audit.measures import NUMBERS, measure
from lib.data.audit.summary import by_class, source_association
from lib.data.films.film import Film


def table(*cells):
    rows = [(label, source) for label, source, count in cells for _ in range(count)]
    return pd.DataFrame(rows, columns=["label", "site"])


def test_cramers_v_of_known_tables():
    apart = table(("a", "x", 10), ("b", "y", 30))
    assert source_association(apart)["site"] == {
        "cramers_v": 1.0,
        "sources": 2,
        "largest": {"a": {"source": "x", "share": 1.0}, "b": {"source": "y", "share": 1.0}},
        "apart": [["a", "b"]],
    }
    even = table(("a", "x", 10), ("a", "y", 20), ("b", "x", 20), ("b", "y", 40))
    assert source_association(even)["site"]["cramers_v"] == 0
    # Chi squared of a 2 x 2 table: n (ad - bc)^2 over the four margins; V is its root over n.
    some = table(("a", "x", 30), ("a", "y", 10), ("b", "x", 20), ("b", "y", 40))
    expected = (30 * 40 - 10 * 20) / np.sqrt(40 * 60 * 50 * 50)
    facts = source_association(some)["site"]
    assert facts["cramers_v"] == pytest.approx(expected, abs=1e-4) and facts["apart"] == []
    assert facts["largest"]["b"] == {"source": "y", "share": 0.6667}


def test_columns_without_a_say_are_passed_over():
    one = table(("a", "x", 5), ("b", "x", 5)).assign(elsewhere="z")
    assert source_association(one) == {}
    assert source_association(one.assign(site=["x", "y"] * 5), columns=["elsewhere", "no"]) == {}


def test_measures_by_class():
    manifest = pd.DataFrame({"label": ["a"] * 3 + ["b"] * 3, "width": 200, "height": 100})
    values = dict.fromkeys(NUMBERS, 1.0) | {"blur": [1, 2, 3, 4, 5, 6], "mean": [1, 3, 5, 5, 3, 1]}
    facts = by_class(manifest, pd.DataFrame(values, index=range(6)))
    assert facts["aspect"] == {"median": {"a": 2.0, "b": 2.0}, "effect": 0.0}
    # H of {1, 2, 3} and {4, 5, 6}: 12 / (6 * 7) * (6**2 / 3 + 15**2 / 3) - 3 * 7 = 27 / 7.
    assert facts["blur"] == {"median": {"a": 2.0, "b": 5.0}, "effect": round(27 / 7 / 5, 4)}
    assert facts["mean"]["effect"] == 0


def test_measures_of_a_film_of_known_grey():
    image = np.full((512, 512), 100, np.uint8)
    image[128:384, 128:384] = 255
    image[:26] = 0  # the upper edge of the frame, 13 of 256 rows
    facts = measure(Film(image.astype(np.uint16), "TIFF", True), image, 1234, image)
    told = [facts[name] for name in ("format", "bits", "colour", "bytes")]
    assert told == ["TIFF", 16, True, 1234]
    assert facts["white"] == 0.25 and facts["black"] == 13 / 256
    grey = np.repeat([0.0, 100, 255], [13, 256 - 13 - 64, 64])
    assert facts["mean"] == pytest.approx(grey.mean())
    assert facts["sd"] == pytest.approx(grey.std())
    assert (facts["median"], facts["darkest"], facts["brightest"]) == (100, 0, 255)
    frame = 256**2 - 230**2
    assert facts["border_black"] == pytest.approx(13 * 256 / frame)
    assert facts["border_mean"] == pytest.approx(100 * (1 - 13 * 256 / frame))
    assert facts["border_white"] == 0 and len(facts["phash"]) == 64


def test_blur_is_about_sharpness_and_not_about_size():
    noise = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    large = np.kron(noise, np.ones((2, 2), np.uint8))
    smooth = np.repeat(np.arange(256, dtype=np.uint8)[None], 256, axis=0)
    blur = {
        name: measure(Film(image, "PNG"), image, 1, image)["blur"]
        for name, image in {"noise": noise, "large": large, "smooth": smooth}.items()
    }
    assert blur["noise"] == blur["large"] > blur["smooth"] + 2
