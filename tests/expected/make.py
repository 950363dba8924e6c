"""Expected tables of the smoke study, from a finished run: ``python tests/expected/make.py``."""

from pathlib import Path

from lib.study.artefacts import read_table, write_table
from lib.study.paths import StudyPaths

KEYS = ["architecture", "method", "role", "pairing", "metric"]


def overlap(strata):
    """Mean overlap over the outcome strata, by cell."""
    rows = strata[strata["metric"] == "iou_top20"]
    return rows.groupby(KEYS)[["mean"]].mean().reset_index()


def main() -> None:
    """Write the three files beside this one."""
    paths, folder = StudyPaths("results", "smoke"), Path(__file__).parent
    counts = read_table(paths.manifest).groupby(["label", "split"]).size().rename("n").reset_index()
    performance = read_table(paths.tables / "performance.csv")
    write_table(folder / "counts.csv", counts)
    write_table(
        folder / "performance.csv",
        performance[["architecture", "checkpoint", "split", "macro_auc"]],
    )
    write_table(folder / "overlap.csv", overlap(read_table(paths.tables / "strata.csv")))


if __name__ == "__main__":
    main()
