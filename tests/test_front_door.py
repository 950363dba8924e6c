"""What the Makefile makes of what it is told and of where it runs, before any program starts."""

import os
import subprocess

import pytest

from lib.study.paths import ROOT

SHOW = 'include Makefile\nshow: ; @printf "%s\\n" "$$RESULTS" "$$HOME" "$$USER"\n'


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
    assert told(HOME=home, USER=None)[1:] == [f"{ROOT}/.snakemake/home", "nobody"]
    assert told(HOME=str(tmp_path), USER="her")[1:] == [str(tmp_path), "her"]


def test_nothing_is_deleted_where_no_study_is_named(tmp_path):
    (tmp_path / "kept").touch()
    done = subprocess.run(
        ["make", "clean", f"RESULTS={tmp_path}", "STUDY="], cwd=ROOT, capture_output=True
    )
    assert done.returncode and (tmp_path / "kept").exists()
