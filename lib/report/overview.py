"""The last words of a run: a short table and where to look (``python -m lib.report.overview STUDY``)."""

import argparse
import json
import sys

from lib.report.digest import drift_means, stage_means
from lib.study.artefacts import ArtefactError, manifest_path, read_manifest, read_table, require
from lib.study.paths import ROOT, StudyPaths


def text(paths: StudyPaths) -> str:
    """Performance, primary drift and verdicts of a finished study, and the paths of what to open.

    Raises
    ------
    ArtefactError
        If the study is not complete.
    """
    manifest = read_manifest(paths.tables / "drift.csv")
    performance = read_table(paths.tables / "performance.csv")
    areas = stage_means(performance, "macro_auc").add_prefix("AUC ")
    drift = read_table(paths.tables / "drift.csv")
    overlap = drift_means(drift[drift["pairing"].isin(("placebo", "finetune", "ceiling"))])
    weights = manifest["weights"]
    verdicts = _verdicts(paths)
    lines = [
        f"Study {paths.study}, source weights: {weights}",
        "",
        "Macro AUC on test films, mean over seeds",
        areas.round(3).to_string(),
        "",
        "Overlap of the top 20 % of cells (1 = same places), mean over the common support",
        overlap.round(2).to_string(),
        "",
        *verdicts,
        f"Tables     {_short(paths.tables)}",
        f"Figures    {_short(paths.figures)}",
        f"Notebooks  {_short(paths.root / 'notebooks')}",
        *([f"Report     {_short(paths.report)}"] if manifest_path(paths.report).exists() else []),
    ]
    if weights == "none":
        lines.insert(1, "WARNING: without a source task this comparison is empty by construction.")
    return "\n".join(lines)


def _verdicts(paths: StudyPaths) -> list[str]:
    if not manifest_path(paths.verdicts).exists():
        return []
    require(paths.verdicts)
    found = json.loads(paths.verdicts.read_text(encoding="utf-8"))["verdicts"]
    sentences = [verdict["sentence"] for verdict in found.values()]
    return ["Verdicts", *sentences, "", f"Verdicts   {_short(paths.verdicts)}"]


def _short(path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def main() -> int:
    """Command line; 1 if the study is not complete."""
    parser = argparse.ArgumentParser(prog="python -m lib.report.overview", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--results", default="results")
    options = parser.parse_args()
    try:
        print(text(StudyPaths(options.results, options.study)))
    except ArtefactError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
