"""Notebooks are executed checked and atomically, and a failure is one line."""

import contextlib
import errno
import importlib.util
import json
import os
import sys

import nbformat
import pytest

from lib.study.paths import ROOT

NOTEBOOK = """
# %% [markdown]
# A notebook that does what its parameter says.

# %% tags=["parameters"]
how = "well"
number = 1

# %%
import os
if how == "dies":
    os._exit(1)
if how == "fails":
    raise ValueError("no films;\\nadd some")
print(how, number + 1, os.getcwd())
"""


@pytest.fixture(scope="module")
def module():
    """The script as a module; its folder is no package."""
    spec = importlib.util.spec_from_file_location("execute", ROOT / "notebooks/execute.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def execute(module, tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "tiny.py").write_text(NOTEBOOK)
    monkeypatch.setattr(module, "FOLDER", folder)
    return module


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run(execute, monkeypatch, output, parameters):
    arguments = ["tiny", "--output", str(output), "--parameters", json.dumps(parameters)]
    monkeypatch.setattr(sys, "argv", ["execute.py", *arguments])
    return execute.main()


def test_a_good_run_leaves_one_notebook_with_its_parameters(execute, tmp_path, monkeypatch):
    output = tmp_path / "out/tiny-s0.ipynb"
    output.parent.mkdir()
    (output.parent / "tiny-s0.failed.ipynb").write_text("of an earlier run")
    assert run(execute, monkeypatch, output, {"number": 41}) == 0
    assert names(output.parent) == ["tiny-s0.ipynb"]
    cells = [cell for cell in nbformat.read(output, 4).cells if cell.cell_type == "code"]
    assert cells[-1].outputs[0].text == f"well 42 {tmp_path / 'notebooks'}\n"
    assert names(tmp_path / "notebooks") == ["tiny.py"], "the source folder stays as it was"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("fails", "ValueError: no films; add some (see "),
        ("dies", "the notebook's Python process was killed, most often for want of memory; take "),
    ],
)
def test_a_failed_run_is_kept_apart_and_told_in_one_line(
    execute, tmp_path, monkeypatch, capfd, how, reason
):
    output = tmp_path / "out/tiny-s0.ipynb"
    output.parent.mkdir()
    output.write_text("of an earlier run")
    assert run(execute, monkeypatch, output, {"how": how}) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].startswith(f"error: tiny-s0: {reason}")
    failed = output.parent / "tiny-s0.failed.ipynb"
    assert errors[0].endswith(f"(see {failed})")
    assert names(output.parent) == [failed.name, output.name]
    assert output.read_text() == "of an earlier run"
    assert any(how in cell.source for cell in nbformat.read(failed, 4).cells)


def test_a_full_disk_is_told_in_one_line(execute, tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(execute.papermill, "execute_notebook", full)
    output = tmp_path / "out/tiny.ipynb"
    assert run(execute, monkeypatch, output, {"number": 1}) == 1
    expected = f"error: tiny: {output}: No space left on device; free some space or check the "
    assert capsys.readouterr().err.startswith(expected) and names(output.parent) == []


@pytest.mark.parametrize(
    ("visible", "expected"), [("", ["0", "1", "2"]), ("7,GPU-4,5,6", ["7", "GPU-4", "5"])]
)
def test_notebooks_at_the_same_time_have_different_devices(
    module, visible, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "LOCKS", tmp_path / "locks")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with contextlib.ExitStack() as others:
        assert [module.device(3, others) for _ in range(2)] == expected[:2]
        with contextlib.ExitStack() as third:
            assert module.device(3, third) == expected[2]
            assert module.device(3, others) == expected[0], "all are taken: shared"
        assert module.device(3, others) == expected[2], "given back"


def test_a_notebook_sees_its_own_device_alone(execute, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "LOCKS", tmp_path / "locks")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("STUDY_DEVICES", "2")
    (tmp_path / "notebooks/tiny.py").write_text(
        NOTEBOOK + "print(os.environ['CUDA_VISIBLE_DEVICES'])\n"
    )
    with contextlib.ExitStack() as other:
        assert execute.device(2, other) == "0"
        assert run(execute, monkeypatch, tmp_path / "tiny.ipynb", {}) == 0
    outputs = nbformat.read(tmp_path / "tiny.ipynb", as_version=4).cells[-1].outputs
    assert outputs[0].text.splitlines()[-1] == "1"


def test_an_unknown_parameter_is_refused_before_anything_runs(
    execute, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(execute.papermill, "execute_notebook", lambda *a, **o: pytest.fail("ran"))
    output = tmp_path / "out/tiny.ipynb"
    assert run(execute, monkeypatch, output, {"numbr": 2, "how": "well", "also": 0}) == 1
    expected = "error: tiny: unknown parameters also, numbr; tiny takes how, number\n"
    assert capsys.readouterr().err == expected
    assert not output.parent.exists()


@pytest.mark.parametrize("count", [0, 2])
def test_a_notebook_needs_exactly_one_cell_of_parameters(execute, tmp_path, count):
    cell = '# %% tags=["parameters"]\nx = 1\n\n'
    (tmp_path / "notebooks/odd.py").write_text(cell * count + "# %%\nprint()\n")
    with pytest.raises(
        SystemExit, match=f"error: {count} cells are tagged 'parameters', expected 1"
    ):
        execute.execute("odd", tmp_path / "odd.ipynb", {})
    assert not (tmp_path / "odd.ipynb").exists()


@pytest.mark.parametrize(
    "source", sorted((ROOT / "notebooks").glob("0[!_]_[!i]*.py")), ids=lambda p: p.stem
)  # all but the index, which no rule runs
def test_every_notebook_of_the_study_takes_the_parameters_of_the_workflow(module, source):
    known = module.known_parameters(module.jupytext.read(source))
    assert {"study", "settings", "results"} <= known


def test_a_kernel_of_the_user_with_the_same_name_is_not_taken(execute, tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    other = {"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(other))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))  # looked into first
    assert run(execute, monkeypatch, tmp_path / "tiny.ipynb", {"number": 3}) == 0
    outputs = nbformat.read(tmp_path / "tiny.ipynb", as_version=4).cells[-1].outputs
    assert "well 4" in outputs[0].text
