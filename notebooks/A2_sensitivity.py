# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A2 · Does the finding depend on how one reads the formula?
#
# *By how much do drift and the ranking of the architectures change with choices that papers leave
# open?*
#
# Which layer, which class, logit or probability, raw map or display-normalised, which of three
# normalisations inside Grad-CAM++, and at which side films enter: every choice is in use somewhere.
# Here each is made in turn on the same two checkpoints, and everything else stays.

# %% [markdown]
# **Reads** the checkpoints of one seed, the manifest and the films. **Writes**
# `tables/sensitivity.csv` and `figures/sensitivity`.

# %%
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage
from lib.study.architectures import ARCHITECTURES
from lib.study.progress import counter
from lib.data import batches, cache as image_cache
from lib.models import backbones, performance
from lib.attribution import readings
from lib.drift import sensitivity, summaries
from lib.drift.pairings import Pairing
from lib.figures import style
from lib.figures.appendix import sensitivity as figure_of

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
study = "smoke"
settings = {"architectures": ["resnet50v2"], "seeds": [0]}
results = "results/notebooks"

# %%
params = load_stage(study, "sensitivity", settings)
paths = StudyPaths(results, params.study)
pair = [params.base_transfer, f"finetune-s{params.seeds[0]}"]
record = artefacts.begin(
    paths.tables / "sensitivity.csv",
    parameters=params.dump(),
    inputs=[paths.manifest, *(paths.checkpoint(a, c) for a in params.architectures for c in pair)],
)
exact = params.runtime.model_copy(update={"precision": "float32", "tf32": False})
backbones.configure(exact, seed=params.seed)
style.style()

# %% [markdown]
# ## The readings

# %% tags=["nbval-check-output"]
for name, reading in readings.READINGS.items():
    print(f"{name:34s} {reading.score:12s} {reading.explained:11s} {reading.grid}")

# %% [markdown]
# ## Maps
#
# One pass for each of three sources of gradients: the logit of the true class, its probability, and
# the logit of the class that the checkpoint predicts. Every reading is made of one of them.

# Only films that both checkpoints of every architecture classify correctly are explained: drift is
# compared on no others. Where there is none, all are, to show the plumbing.

# %%
manifest = artefacts.read_table(paths.manifest)
test = manifest.query("split == 'test'")
right = performance.jointly_correct(paths, params.architectures, pair, classes=params.classes)
print(f"{len(right)} of {len(test)} test films are classified correctly by all")
test = test[test["image_id"].isin(right)] if right else test

# %%
sizes = {"study": params.input_size}
if params.data.native_sizes:
    sizes["native"] = {a: ARCHITECTURES[a].default_size for a in params.architectures}
else:
    print("native grids: not asked for (data.native_sizes=true keeps the films for them)")

# %% [markdown]
# At the native sides the same weights see films that are larger than those they learnt from: this
# shows what the grid does to a comparison, not how a network trained at that side would look.

# %%
sets = {grid: {} for grid in sizes}
for grid, architecture in [(g, a) for g in sizes for a in params.architectures]:
    size = sizes[grid][architecture]
    cache = image_cache.load(paths.images(size))
    films = batches.films(cache, test, splits=["test"], classes=params.classes)
    sets[grid][architecture] = readings.explain(
        architecture, films, test["image_id"], size=size, classes=len(params.classes), grid=grid,
        roles=params.attribution.roles, batch_size=params.attribution.batch_size,
        checkpoints={name: paths.checkpoint(architecture, name) for name in pair},
        report=counter(f"films, {architecture} at {size} px"),
    )  # fmt: skip

# %% [markdown]
# ## Drift by reading
#
# On the films that both compared checkpoints of an architecture classify correctly. There the checkpoint's own
# prediction *is* the true class, so that reading can only differ on other films: conditioning on
# correct decisions takes this choice away.

# %%
files = {"study": "sensitivity_pairs.csv", "native": "sensitivity_native_pairs.csv"}
parts, counted = [], {}
for grid, of_grid in sets.items():
    own = summaries.own_support(of_grid)
    counted[grid] = {architecture: int(films.sum()) for architecture, films in own.items()}
    single, _, _ = summaries.drift_tables(
        of_grid, [Pairing("finetune", *pair)], test["patient_id"].to_numpy(), own,
        seed=derive(params.seed, "ceiling"), pairs_file=paths.tables / files[grid],
    )  # fmt: skip
    parts.append(summaries.over_seeds(single))
    print(f"{grid} grid, of these {len(test)} films: {counted[grid]}")
table = sensitivity.sensitivity(pd.concat(parts, ignore_index=True), readings.READINGS)
table.round(3)

# %%
figure = figure_of(table)
display(figure)
style.save(figure, paths.figures / "sensitivity")

# %% [markdown]
# Read down a panel: markers that stay in their column do not care about the reading; markers that
# change places change the ranking. Compare panels to see what the layer does. A missing marker is a
# reading that is blank for every film.

# %% [markdown]
# ## Write

# %%
artefacts.write_table(record.path, table)
record.complete(
    *(paths.tables / files[grid] for grid in sets),
    *(paths.figures / f"sensitivity.{suffix}" for suffix in ("png", "svg")),
    films=counted,
)
print("wrote", record.path.name)

# %% [markdown]
# ## What we saw
#
# How far each choice moves the means over the films above. `largest_change` is the most
# that the mean of any architecture moved against the study's own reading; `tau` is Kendall's rank
# correlation of the two rankings, 1 for the same order and −1 for the reverse. Back:
# [5 · Drift](05_drift.ipynb), [index](00_index.ipynb).
