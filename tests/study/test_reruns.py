"""What a change of the code reruns, by the files that the rules of the workflow name as inputs."""

import pytest

from lib.study import reruns
from lib.study.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("0[0-7]_*.py"))


def rerun_by(module):
    """The numbers of the notebooks that use a module of lib."""
    found = [name for name in NOTEBOOKS if ROOT / "lib" / module in reruns.sources(name)]
    return {name[:2] for name in found if name != "00_index"}


@pytest.mark.parametrize(
    ("module", "most"),
    [
        ("figures/style.py", {"05", "06", "07"}),
        ("figures/training.py", {"05"}),
        ("drift/summaries.py", {"05", "06", "07"}),
        ("drift/metrics.py", {"05", "06", "07"}),
        ("hypotheses/verdicts.py", {"06", "07"}),
        ("report/page.py", {"07"}),
        ("attribution/explainer.py", {"04", "05", "06", "07"}),
    ],
)
def test_a_change_reruns_no_stage_before_the_first_that_needs_it(module, most):
    found = rerun_by(module)
    assert found and found <= most


def test_a_change_of_what_all_share_reruns_all():
    stages = {name[:2] for name in NOTEBOOKS}
    assert rerun_by("study/load.py") == rerun_by("study/paths.py") == stages


def test_figures_are_inputs_of_no_stage_that_trains_or_explains():
    for name in NOTEBOOKS:
        used = {path.parent.name for path in reruns.sources(name)}
        assert ("figures" in used) == (name >= "05"), name


def test_modules_are_found_through_those_that_import_them(tmp_path, monkeypatch):
    monkeypatch.setattr(reruns, "ROOT", tmp_path)
    texts = {
        "lib/a/__init__.py": "from lib.a.one import x",
        "lib/a/one.py": "import numpy\nfrom lib.b import two",
        "lib/b/__init__.py": "",
        "lib/b/two.py": "from lib.a import x\nfrom lib.figures.style import s",
        "lib/figures/style.py": "from lib.c import only_for_figures",
        "lib/c/only_for_figures.py": "def later():\n    from lib.d import lazy",
        "lib/c/__init__.py": "",
        "notebooks/01_early.py": "from lib.a import x",
        "notebooks/05_late.py": "from lib.a import x",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def named(notebook):
        return [str(path.relative_to(tmp_path)) for path in reruns.sources(notebook)]

    early = ["lib/a/__init__.py", "lib/a/one.py", "lib/b/two.py"]
    late = [*early, "lib/c/only_for_figures.py", "lib/figures/style.py"]
    assert named("01_early") == ["notebooks/01_early.py", *early]
    assert named("05_late") == ["notebooks/05_late.py", *sorted(late)]
