"""A finished study in small: means by stage and by pairing, and where every artefact is from."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.hypotheses import estimates
from lib.models.convergence import sentence
from lib.study.artefacts import manifest_path, read_manifest, read_table, require
from lib.study.names import MODES, stage_of
from lib.study.params import Params
from lib.study.paths import ROOT, StudyPaths

PRIMARY = "iou_top20"
_PAIRINGS = (
    *("explainer", "placebo", "shuffled", "restarted", "perturbed", "head_only", "features_only"),
    *("finetune", "corrected", "finetune_seeds", "transfer_seeds", "ceiling", "randomised"),
)


def stage_means(performance: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean of a score over seeds on test films, a row per architecture and a column per stage."""
    test = performance.query("split == 'test'")
    stage = stage_of(test["checkpoint"]).rename("checkpoint")
    wide = test.pivot_table(index="architecture", columns=stage, values=column)
    return wide.reindex(test["architecture"].drop_duplicates())[list(dict.fromkeys(stage))]


def drift_means(drift: pd.DataFrame, *, metric: str = PRIMARY) -> pd.DataFrame:
    """Mean of a metric, a row per architecture, role and method, a column per pairing.

    The pairings of a study come in the order of `_PAIRINGS`, others after.
    """
    wide = drift[drift["metric"] == metric].pivot_table(
        index=["architecture", "role", "method"], columns="pairing", values="mean", sort=False,
        dropna=False, observed=True,
    )  # fmt: skip
    known = [name for name in _PAIRINGS if name in wide]
    return wide[[*known, *(name for name in wide if name not in known)]]


def paper_cells(drift: pd.DataFrame) -> pd.DataFrame:
    """Rows of the paper's cells: its two methods at the last convolution and at the pooled map."""
    told = drift["role"].isin(("auto_conv", "post_activation"))
    return drift[told & drift["method"].isin(("layercam", "gradcam_plus_plus"))]


def public_parameters(parameters: dict) -> dict:
    """Parameters without the places of files: where they lie is a matter of one machine."""
    shown = json.loads(json.dumps(parameters))
    data, weights = shown.get("data", {}), shown.get("weights", {})
    for key in ("source", "salt_file"):
        if data.get(key):
            data[key] = Path(data[key]).name
    if data.get("lesions"):
        data["lesions"] = [Path(file).name for file in data["lesions"]]
    if weights.get("files"):
        weights["files"] = {name: Path(file).name for name, file in weights["files"].items()}
    return shown


def provenance(paths: StudyPaths, complete: Mapping[str, Mapping]) -> dict:
    """Parameters, versions, device and duration of every artefact of a study, of its `manifests`.

    ``code`` is the revision that made its tables; ``revisions`` has those of every folder, because
    a change of what follows the maps leaves networks and maps as they are.
    """
    manifest = complete.get("tables/drift.csv") or read_manifest(paths.tables / "drift.csv")
    # Every stage has recorded what it reads; the drift stage has all the seeds.
    recorded = {}
    for found in (*complete.values(), manifest):
        recorded |= found.get("parameters", {})
    parameters = {key: value for key, value in recorded.items() if key in Params.model_fields}
    revisions: dict[str, set[str]] = {}
    for name, found in complete.items():
        revisions.setdefault(name.partition("/")[0], set()).add(found["code"][:12])
    return {
        "parameters": public_parameters(parameters),
        "revisions": {stage: sorted(of) for stage, of in revisions.items()},
        **{key: manifest[key] for key in ("code", "versions", "device", "finished")},
        "seconds": {name: found["seconds"] for name, found in complete.items()},
    }


def cost(seconds: Mapping[str, float]) -> pd.DataFrame:
    """Minutes that a study took by the seconds of its artefacts, a row per architecture.

    A column per stage has the mean of one checkpoint; the maps of all share one notebook.
    """
    rows = [
        [*Path(name).parts[:2], Path(name).stem.rsplit("-s", 1)[0], spent / 60]
        for name, spent in seconds.items()
        if name.startswith(("models/", "maps/")) and name.endswith((".keras", ".npz"))
    ]
    table = pd.DataFrame(rows, columns=["kind", "architecture", "stage", "minutes"])
    models = table[table["kind"] == "models"]
    wide = models.pivot_table(index="architecture", columns="stage", values="minutes", sort=False)
    wide = wide[[name for name in ("transfer", *MODES) if name in wide]]
    wide["all maps"] = table[table["kind"] == "maps"].groupby("architecture")["minutes"].max()
    trained = models.groupby("architecture")["minutes"]
    wide["total"] = trained.sum() + wide["all maps"]
    return wide.assign(checkpoints=trained.size())


def manifests(paths: StudyPaths) -> dict[str, dict]:
    """Manifests of all complete artefacts of a study but its report, by path from its folder.

    Checkpoints and maps are those that the drift tables, if there are any, were made from: the
    folder may hold more, of the same study with other seeds.
    """
    complete = {}
    for file in sorted(paths.root.rglob("*.json")):
        name = file.relative_to(paths.root)
        if name.parts[0] == "report":
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("status") == "complete":
            complete[name.as_posix().removesuffix(".json")] = found
    if "tables/drift.csv" not in complete:
        return complete
    used = {(paths.tables / name).resolve() for name in complete["tables/drift.csv"]["inputs"]}

    def counted(name: Path) -> bool:
        if name.parts[0] not in ("models", "maps"):
            return True
        return paths.maps(name.parts[1], name.stem).resolve() in used

    return {name: found for name, found in complete.items() if counted(Path(name))}


def text(paths: StudyPaths) -> str:
    """Performance, primary drift and verdicts of a finished study, and what to open."""
    weights = read_manifest(paths.tables / "drift.csv")["weights"]
    performance = read_table(paths.tables / "performance.csv")
    areas = stage_means(performance, "macro_auc").add_prefix("AUC ")
    drift = read_table(paths.tables / "drift.csv")
    overlap = drift_means(drift[drift["pairing"].isin(("placebo", "finetune", "ceiling"))])
    told = [verdict["sentence"] for verdict in verdicts(paths).values()]
    if manifest_path(paths.verdicts).exists():
        told = ["Verdicts", *told, "", f"Verdicts   {_short(paths.verdicts)}"]
    warning = "WARNING: without a source task this comparison is empty by construction."
    lines = [
        f"Study {paths.study}, source weights: {weights}",
        *([warning] if weights == "none" else []),
        "",
        "Macro AUC on test films, mean over seeds",
        areas.round(3).to_string(),
        sentence(performance),
        "",
        "Overlap of the top 20 % of cells (1 = same places), every class alike",
        overlap.round(2).to_string(),
        "",
        *composition(paths),
        *told,
        f"Tables     {_short(paths.tables)}",
        f"Figures    {_short(paths.figures)}",
        f"Notebooks  {_short(paths.root / 'notebooks')}",
        *([f"Report     {_short(paths.report)}"] if manifest_path(paths.report).exists() else []),
    ]
    return "\n".join(lines)


def composition(paths: StudyPaths) -> list[str]:
    """How far fine-tuning moved, and how much of it all seeds share; none before notebook 6."""
    file = paths.tables / "decomposition.csv"
    if not file.exists():
        return []
    found = estimates.composition(read_table(file), role="post_activation", method="layercam")
    return ["LayerCAM at the pooled map", *found, ""]


def verdicts(paths: StudyPaths) -> dict[str, dict]:
    """Verdicts of a study by hypothesis; none where they were not reached."""
    if not manifest_path(paths.verdicts).exists():
        return {}
    require(paths.verdicts)
    return json.loads(paths.verdicts.read_text(encoding="utf-8"))["verdicts"]


def _short(path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
