"""One run at a time in a folder, and nothing left over from a killed one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lib.study import running
from lib.study.errors import ArtefactError
from lib.study.paths import ROOT

RUN = """
import sys
from pathlib import Path
from lib.study.running import run
sys.exit(run(Path(sys.argv[1]), sys.argv[2:], prepare=lambda: None))
"""
# Like a kernel: a session of its own, so that no process group reaches it.
CHILD = "import subprocess, sys; subprocess.run(['sleep', '60'], start_new_session=True)"


def start(folder, *command):
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder), *command], cwd=ROOT)


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.fixture
def alive(tmp_path):
    folder = tmp_path / "results/trial"
    process = start(folder, sys.executable, "-c", CHILD)
    until(lambda: len(running.processes(folder)) == 2)
    yield folder, process
    process.kill()
    process.wait()
    running.end_survivors(folder)


def test_a_second_run_is_refused_and_says_which_process_runs(alive):
    folder, process = alive
    with pytest.raises(ArtefactError) as refused, running.held(folder):
        pass
    message = str(refused.value)
    assert f"{folder}: a run is going on here since 20" in message
    assert f"(process {process.pid})" in message and f"`kill {process.pid}`" in message
    assert len(running.processes(folder)) == 2, "the run was left alone"


def test_after_a_kill_survivors_are_ended_and_what_they_left_is_removed(alive):
    folder, process = alive
    process.kill()
    process.wait()
    survivors = running.processes(folder)
    assert len(survivors) == 2
    pid = process.pid
    left = [folder / f"notebooks/.running-{pid}-x", folder / f".partial-{pid}-a.csv",
            folder.parent / f"weights/.partial-{pid}-w.h5"]  # fmt: skip
    kept = [folder / f".partial-{os.getpid()}-b.csv", folder / ".partial-0123456789ab-films.npy",
            folder / "models/finetune-s0.state"]  # fmt: skip
    left[0].mkdir(parents=True)
    for file in (left[0] / "source.ipynb", *left[1:], *kept):
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    with running.held(folder):
        assert running.processes(folder) == []
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all(alive, number):
    folder, process = alive
    if number == signal.SIGINT:  # as a terminal sends it, to the command too
        os.kill(running.processes(folder)[0], number)
    process.send_signal(number)
    assert process.wait(15) == 128 + number
    assert running.processes(folder) == []


def test_a_killed_command_takes_its_children_along(alive):
    folder, process = alive
    os.kill(running.processes(folder)[0], signal.SIGKILL)
    assert process.wait(15) == 256 - signal.SIGKILL
    assert running.processes(folder) == []


def test_a_killed_parent_ends_the_run(tmp_path):
    folder = tmp_path / "trial"
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])",
         sys.executable, "-c", RUN, str(folder), "sleep", "60"], cwd=ROOT,
    )  # fmt: skip
    until(lambda: running.processes(folder))
    parent.kill()
    parent.wait()
    until(lambda: not running.processes(folder))
    with running.held(folder):
        pass


def test_locks_of_snakemake_go_unless_a_run_of_another_study_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "ROOT", tmp_path)
    locks = tmp_path / ".snakemake/locks"
    for alone in (False, True):
        locks.mkdir(parents=True, exist_ok=True)
        (locks / "0.output.lock").write_text(f"{tmp_path}/results/trial/data/manifest.csv\n")
        (locks / "1.output.lock").write_text(f"{tmp_path}/results/other/data/manifest.csv\n")
        if alone:
            with running.held(tmp_path / "results/trial"):
                assert list(locks.iterdir()) == []
        else:
            with running.held(tmp_path / "results/third"):
                (locks / "1.output.lock").touch()
                for name, study in (("0", "trial"), ("1", "other")):
                    line = f"{tmp_path}/results/{study}/data/manifest.csv\n"
                    (locks / f"{name}.output.lock").write_text(line)
                with running.held(tmp_path / "results/trial"):
                    assert [path.name for path in locks.iterdir()] == ["1.output.lock"]


def test_the_lock_file_says_who(tmp_path):
    with running.held(tmp_path / "trial"):
        assert json.loads((tmp_path / "trial/.run.lock").read_text())["pid"] == os.getpid()


def test_of_a_failed_cell_its_reason_is_left(capsys):
    said = [
        "RuleException:\n", 'CalledProcessError in file "/x/Snakefile", line 1:\n',
        "Command 'set -euo pipefail;  TF_NUM_INTRAOP_THREADS=1 …' returned …\n",
        "error: 01_prepare_data: no films\n", "    input: a, b\n", "    output: c\n",
        "        TF_NUM_INTRAOP_THREADS=1 …\n", "    log: /x/log\n",
    ]  # fmt: skip
    running._relay(said)
    assert capsys.readouterr().err == "error: 01_prepare_data: no films\n    log: /x/log\n"
