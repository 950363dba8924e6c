"""Known answers for names as people write them."""

import pytest

from lib.data.naming import meaning, split_of, to_type
from lib.study.load import parse_overrides


@pytest.mark.parametrize("name", ["Viral Pneumonia", "Edema?", "yes", "0", "a, b]", "it's", "x|y"])
def test_what_is_printed_can_be_typed(name):
    line = to_type("data.labels", {name: "normal"})
    assert line.startswith('SET="') and '"' not in line[5:-1]
    assert parse_overrides(line[5:-1]) == {"data": {"labels": {name: "normal"}}}
    assert parse_overrides(to_type("classes", [name, "b"])[5:-1]) == {"classes": [name, "b"]}


def test_a_name_means_a_class_whatever_its_case_and_blanks():
    mean = meaning(["viral_pneumonia", "covid19"], {"Corona": "covid19"})
    assert [mean(x) for x in ("Viral Pneumonia", "VIRAL-PNEUMONIA", "COVID-19", "corona")] == [
        "viral_pneumonia", "viral_pneumonia", "covid19", "covid19",
    ]  # fmt: skip
    assert mean("flu") == "flu"
    apart = meaning(["A", "a"], {})
    assert [apart(x) for x in ("A", "a", " A")] == ["A", "a", " A"]


def test_words_of_splits():
    words = ["Val", "valid", "validate", "Validation", "TESTING", "test", "train ", "TRAINING"]
    expected = ["validation"] * 4 + ["test"] * 2 + ["train"] * 2 + ["", "", None]
    assert [split_of(word) for word in (*words, "", " ", "dev")] == expected
