"""No published look at the data is forgotten."""

import json

from lib.published import looks
from lib.study.artefacts import read_table


def test_a_look_is_added_once_and_others_stay(tmp_path):
    file = tmp_path / "looks.csv"
    origin = {
        "parameters": {"weights": {"source": "drawn"}, "transfer_seeds": [0], "seeds": [0, 1, 2]},
        "finished": "2026-12-01T10:00:00+00:00", "code": "0123456789",
    }  # fmt: skip
    answers = {"verdicts": {"H1": {"verdict": "supported"}}, "rules": {"version": 2}}
    look = looks.row("mine", origin, answers)
    assert look["seeds"] == 3 and look["H1"] == "supported" and look["H6"] == "not asked"
    for each in (look, look, look | {"seeds": 5}):
        looks.append(each, file)
    assert read_table(file)["seeds"].astype(int).to_list() == [3, 5]
    old = {"verdicts": {}, "rules": {"H1": {}}}
    assert looks.row("mine", origin, old)["rules"] == 1


def test_every_published_study_is_in_the_table():
    table = read_table(looks.FILE).astype(str)
    told = {tuple(row) for row in table[looks.COLUMNS].to_numpy()}
    folders = [file.parent for file in looks.FILE.parent.glob("*/verdicts.json")]
    assert folders
    for folder in folders:
        origin, answers = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("provenance.json", "verdicts.json")
        )
        look = looks.row(folder.name, origin, answers)
        assert tuple(str(look[column]) for column in looks.COLUMNS) in told
