"""The size of a clone is what README says, and the repository stays lean."""

import re
import subprocess

import pytest

from lib.study.paths import ROOT

MIB = 2**20


def git(*words, text=""):
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], input=text, capture_output=True, text=True
    )
    return done.stdout if done.returncode == 0 else pytest.skip("not a git checkout")


def size(listing):
    """MiB that the objects of a listing take as git stores and sends them, each once."""
    names = "\n".join(sorted(set(re.findall(r"\b[0-9a-f]{40}\b", listing))))
    found = git("cat-file", "--batch-check=%(objectsize:disk)", text=names)
    return sum(map(int, re.findall(r"^\d+$", found, re.M))) / MIB


def test_a_clone_is_as_large_as_readme_says_and_under_its_budget():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"clone takes (\d+) MiB, (\d+) MiB with .*?; (\d+) MiB of each", page)
    history, files, weights = map(int, stated.groups())
    found = size(git("ls-tree", "-r", "HEAD"))
    start = size(git("ls-tree", "-r", "HEAD", "lib/models/shipped"))
    assert found == pytest.approx(files, rel=0.1) and start == pytest.approx(weights, rel=0.05)
    assert found - start < 60, "publish each thing once"
    if git("rev-parse", "--is-shallow-repository").strip() == "false":
        assert size(git("rev-list", "--objects", "HEAD")) == pytest.approx(history, rel=0.15)
