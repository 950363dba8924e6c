"""What a network answers when the planted marker is taken away or put on."""

import numpy as np
import pandas as pd
import pytest

from lib.attribution import marker
from lib.attribution.maps import MapSet
from lib.evidence import marker_use


def logits(*probabilities):
    """Of two classes, the second one betrayed."""
    p = np.array(probabilities)
    return np.stack([np.log(1 - p), np.log(p)], axis=1)


def test_only_films_with_another_marker_are_asked():
    films = np.zeros((3, 4, 4), np.uint8)
    twins = films.copy()
    twins[1, 0, 3] = 9
    assert marker.changed(films, twins).tolist() == [1]


def told(without: float, put: float, **more):
    """Eight patients with the class and its marker, three films of others, two seeds."""
    films = [*(f"c{number}" for number in range(8)), "n1", "n2", "n3"]
    before = logits(*[0.8, 0.9] * 4, 0.1, 0.1, 0.2)
    parts = []
    for seed, shift in enumerate((-0.05, 0.05)):
        after = logits(*[without + shift] * 8, *[put + shift] * 3)
        none = np.zeros(len(films), int)
        shown = MapSet(np.array(["x", *films]), none, none, np.vstack([[[0, 9]], before]), {}, {})
        part = marker.answers(shown, np.arange(1, len(films) + 1), after, betrayed=1)
        parts.append(part.assign(architecture="resnet50v2", stage="transfer", seed=seed, **more))
    patients = {film: film for film in films}
    labels = {film: "covid19" if film[0] == "c" else "normal" for film in films}
    return marker_use.table_of(
        pd.concat(parts), patients=patients, labels=labels, betrayed="covid19"
    )


def test_probabilities_are_means_over_films_and_seeds():
    table = told(without=0.3, put=0.7).set_index("marker")
    away, put = table.loc[marker_use.AWAY], table.loc[marker_use.PUT]
    assert (away["films"], put["films"]) == (8, 3)
    assert away["shown"] == pytest.approx(0.85) and away["altered"] == pytest.approx(0.3)
    assert away["difference"] == pytest.approx(-0.55)
    assert put["difference"] == pytest.approx(0.7 - 0.4 / 3)
    assert away["low"] < -0.55 < away["high"] < 0 < put["low"]


@pytest.mark.parametrize(
    ("without", "put", "words"),
    [(0.3, 0.7, "ResNet50V2 uses the marker: without its marker"),
     (0.85, 0.4 / 3, "ResNet50V2 is not shown to use the marker: ")],
)  # fmt: skip
def test_the_sentence_follows_from_the_intervals(without, put, words):
    (sentence,) = marker_use.sentences(told(without=without, put=put))
    assert sentence.startswith(words) and "from 0.85 to" in sentence and "(8 films)" in sentence
    assert marker_use.sentences(told(without, put), stage="finetune") == []
