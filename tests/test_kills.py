"""A bounded campaign of kills, and that it would see what it looks for."""

import random
import subprocess
import sys

import kills
import pytest

from lib.study.artefacts import begin, write_text


def test_half_a_file_that_counts_as_complete_is_found(tmp_path):
    record = begin(tmp_path / "table.csv", parameters={})
    write_text(record.path, "a,b\n1,2\n")
    assert kills.faults(tmp_path) == [], "without a manifest it does not count"
    record.complete()
    whole = kills.contents(tmp_path)
    assert kills.faults(tmp_path) == []
    record.path.write_text("a,b\n1")
    assert kills.faults(tmp_path) == [f"{record.path}: not what table.csv.json says"]
    assert kills.contents(tmp_path) != whole


def test_half_a_notebook_is_found_where_it_has_its_name_and_not_while_it_is_written(tmp_path):
    (tmp_path / ".running-12-x").mkdir()
    for name in (".running-12-x/05_drift.ipynb", ".partial-12-table.csv.json"):
        (tmp_path / name).write_text('{"cells": [')
    assert kills.faults(tmp_path) == [] and kills.writes(tmp_path)
    (tmp_path / "05_drift.ipynb").write_text('{"cells": [')
    assert kills.faults(tmp_path) == [f"{tmp_path}/05_drift.ipynb: half a file"]


class Short(kills.Trial):
    """A run that writes one file, in a moment."""

    write = (
        "import pathlib, time; folder = pathlib.Path('results/smoke'); "
        "folder.mkdir(exist_ok=True); time.sleep(0.2); file = folder / '.partial-1-a.csv'; "
        "file.write_text('half'); "
        "time.sleep(0.4); file.write_text('whole'); file.rename(folder / 'a.csv')"
    )

    def start(self, subject=None):
        return subprocess.Popen(
            [sys.executable, "-c", self.write], cwd=self.home, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip


def test_every_other_kill_hits_a_write_and_a_file_that_is_half_is_told(tmp_path, monkeypatch):
    trial = Short("prepare", tmp_path, random.Random(0))
    found = kills.campaign(trial, kills=4, interrupts=2)
    assert found["wrong"] == [] and (found["SIGKILL"], found["SIGINT"]) == (4, 2)
    assert found["while writing"] >= 3 and found["ends"] >= 1 and found["s undisturbed"] > 0.5
    assert kills.campaign(trial, kills=99, interrupts=0, seconds=0)["SIGKILL"] == 4, "no time"
    monkeypatch.setattr(Short, "write", Short.write.replace("whole", "half"))
    wrong = kills.campaign(trial, kills=1, interrupts=0)["wrong"]
    assert wrong == ["other than undisturbed: a.csv"]


def test_the_table_adds_up():
    one = {"subject": "prepare", "SIGKILL": 3, "SIGINT": 1, "while writing": 2, "looks": 3,
           "ends": 2, "wrong": ["half a file"], "s undisturbed": 20.0, "s lost per kill": 9.5,
           "stages": {"01_prepare_data": 4}, "processes": {"SIGKILL all": 3}}  # fmt: skip
    other = one | {"wrong": [], "stages": {"01_prepare_data": 1, "02_transfer": 3}}
    lines = kills.table([one, other]).splitlines()
    assert lines[-2].split() == ["all", "6", "2", "4", "6", "4", "1"]
    assert lines[-1] == "hits by stage: 01_prepare_data 5, 02_transfer 3"


@pytest.mark.study
def test_killed_and_interrupted_runs_go_on_and_end_in_the_same_artefacts(tmp_path):
    trial = kills.Trial("prepare", tmp_path, random.Random(0))
    found = kills.campaign(trial, kills=2, interrupts=1)
    assert found["wrong"] == [] and (found["SIGKILL"], found["SIGINT"]) == (2, 1)
    assert sum(found["stages"].values()) == 3
