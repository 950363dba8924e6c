"""What the Makefile makes of what it is told and of where it runs, before any program starts."""

import os
import subprocess

import pytest

from lib.study.paths import ROOT

SHOW = r"""include Makefile
show: ; @printf '%s\n' "$$RESULTS" "$$HOME" "$$USER" "$(LOCK)" '$(SNAKEMAKE)'
"""


def told(*words, **environment):
    """Folder of results, home and user's name that programs get; None takes a variable away."""
    given = {key: value for key, value in (os.environ | environment).items() if value is not None}
    done = subprocess.run(
        ["make", "-s", "-f", "-", "show", *words], cwd=ROOT, env=given, input=SHOW, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", "results"), ("~/my runs $x", "{home}/my runs $x"), ("../a  ~/b", "../a  ~/b"),
        ("~", "~"), ("/tmp/~/\"c'", "/tmp/~/\"c'"),
    ],
)  # fmt: skip
def test_an_empty_folder_is_the_default_and_a_tilde_is_the_home(said, found, tmp_path):
    folder = told(f"RESULTS={said}", HOME=str(tmp_path))[0]
    assert folder == found.format(home=tmp_path)


@pytest.mark.parametrize("home", [None, "", "/nonexistent/home"])
def test_without_a_home_and_a_name_there_is_one_in_the_checkout(home, tmp_path):
    assert told(HOME=home, USER=None)[1:3] == [f"{ROOT}/.snakemake/home", "nobody"]
    assert told(HOME=str(tmp_path), USER="her")[1:3] == [str(tmp_path), "her"]


@pytest.mark.parametrize(("listed", "count"), [("", 0), ("GPU 0: A\nGPU 1: B\n", 2)])
def test_as_many_cells_run_on_accelerators_as_there_are(listed, count, tmp_path):
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
    driver.chmod(0o755)
    lock, command = told(PATH=f"{tmp_path}:{os.environ['PATH']}", GPU=None)[3:]
    assert lock == ("requirements-gpu.lock" if count else "requirements.lock")
    assert f" --resources gpu={count} --config gpu={count} " in command


def test_nothing_is_deleted_where_no_study_is_named(tmp_path):
    (tmp_path / "kept").touch()
    done = subprocess.run(
        ["make", "clean", f"RESULTS={tmp_path}", "STUDY="], cwd=ROOT, capture_output=True
    )
    assert done.returncode and (tmp_path / "kept").exists()
