"""A bounded campaign of kills, and that it would see what it looks for."""

import random

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


@pytest.mark.study
def test_killed_and_interrupted_runs_go_on_and_end_in_the_same_artefacts(tmp_path):
    trial = kills.Trial("prepare", tmp_path, random.Random(0))
    found = kills.campaign(trial, kills=2, interrupts=1)
    assert found["wrong"] == [] and found["disturbed"] == 3
