"""The part of the parameters that says what becomes of the data."""

import numpy as np
import pytest
from material import encoded, film

from lib import __main__ as commands
from lib.study import load
from lib.study.errors import ParamsError
from lib.study.load import parse_overrides


def loaded(text):
    return load.load("real", parse_overrides(f"data.source=/films {text}"))


def test_defaults_change_nothing_that_is_not_wrong():
    data = loaded("").data
    assert data.duplicates.model_dump() == {
        "distance": 20, "near": "group", "conflicting_labels": "error", "copies": "keep",
    }  # fmt: skip
    assert (data.leakage, data.other_labels, data.views, data.labels) == ("report", "error", (), {})
    assert data.salt_file == "" and "source_dataset" in data.source_columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.duplicates.distance=49", "data.duplicates.distance = 49: Input should be less than"),
        ("data.duplicates.distance=true", "expected a number, found true or false"),
        ("data.duplicates.near=drop", "data.duplicates.near = 'drop': Input should be 'group'"),
        ("data.leakage=ignore", "data.leakage = 'ignore': Input should be 'report', 'error'"),
        ("data.labels.healthy=fine", "data.labels: 'healthy' is 'fine', which is none of the cl"),
        ("data.duplicate.near=group", "did you mean 'duplicates'?"),
    ],
)
def test_contradictions_are_errors(text, message):
    with pytest.raises(ParamsError) as caught:
        loaded(text)
    assert message in str(caught.value)


def test_data_are_checked_at_the_start_with_labels_and_salt(tmp_path):
    for number, name in enumerate(("healthy", "ill", "flu")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(encoded(film(number)))
    words = f"data.source={tmp_path} classes=[normal,ill] data.labels.healthy=normal"
    with pytest.raises(ParamsError, match="found folders 'flu'"):
        commands.check_data(loaded(words))
    commands.check_data(loaded(f"{words} data.other_labels=reject"))
    words += f" data.other_labels=reject data.salt_file={tmp_path}/salt"
    with pytest.raises(ParamsError, match=r"data\.salt_file: .* cannot be read"):
        commands.check_data(loaded(words))
    (tmp_path / "salt").write_bytes(np.random.default_rng(0).bytes(16) + b"x")
    commands.check_data(loaded(words))
