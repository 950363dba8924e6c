"""The tables as stated, and refused when they are others."""

import pandas as pd
import pytest

from lib.study import schema
from lib.study.artefacts import read_table


def test_a_table_with_other_columns_is_refused():
    table = pd.DataFrame(
        {"grid": [5], "prior": ["a"], "metric": ["b"], "mean": 0.1, "sd": 0.1, "se": 0.1,
         "pairs": 3, "exact": 0.1}
    )  # fmt: skip
    schema.check("priors", table)
    for wrong in (table.rename(columns={"sd": "n"}), table.iloc[:, ::-1], table.assign(more=1)):
        with pytest.raises(ValueError, match=r"tables/priors.csv: found columns .* expected"):
            schema.check("priors", wrong)
    schema.check("support", pd.DataFrame())  # an experiment that was not run


def test_an_open_table_may_have_columns_between_but_none_missing():
    columns = schema.TABLES["performance"].columns
    table = pd.DataFrame([[*"abc", 1, *[0.5] * 6, "converged"]], columns=columns)
    schema.check("performance", table.assign(auc_normal=0.5))
    table.insert(3, "auc_ill", 0.5)
    schema.check("performance", table)
    with pytest.raises(ValueError, match="among them, in this order"):
        schema.check("performance", table.drop(columns="macro_auc"))


def test_tables_are_written_by_the_steps_that_own_them(tmp_path):
    support = pd.DataFrame({"label": ["a"], "films": [3], "common": [2]})
    (file,) = schema.write_tables(tmp_path, {"support": support})
    assert file == tmp_path / "support.csv"
    pd.testing.assert_frame_equal(read_table(file), support)
    assert schema.written_by("05_drift")[0] == "drift"  # its manifest stands for all of them
    with_shortcut = set(schema.written_by("05_drift", shortcut=True))
    assert with_shortcut - set(schema.written_by("05_drift")) == {
        "shortcut",
        "correction",
        "marker_use",
    }
    assert schema.written_by("06_hypotheses")[0] == "retained"
