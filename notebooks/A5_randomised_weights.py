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
# # A5 · Does a map depend on what the network has learnt?
#
# *If all learnt weights are thrown away and the map stays, it showed the film and not the network.*
#
# Adebayo et al. (2018) randomise a network from its head down and watch the maps. Here the values of
# every weight tensor are permuted, stage by stage: each tensor keeps its distribution, and nothing is
# left of the arrangement. A method whose maps survive would call any two checkpoints alike, and its
# low drift would mean nothing.

# %% [markdown]
# **Reads** the fine-tuned checkpoint of one seed, the manifest and the films. **Writes**
# `tables/randomisation.csv`, `tables/randomisation_pairs.csv` and `figures/randomisation`.

# %%
from functools import partial
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage
from lib.study.progress import counter
from lib.data import batches, cache as image_cache
from lib.models import backbones, layers
from lib.models.randomise import cascade
from lib.attribution.explainer import Explainer
from lib.drift.randomised import (
    METRICS, UNRELATED, randomisation_pairs, randomisation_summary,
)  # fmt: skip
from lib.figures import style
from lib.figures.appendix import randomisation as figure_of

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
study = "smoke"
settings = {"architectures": ["resnet50v2"], "seeds": [0]}
results = "results/notebooks"

# %%
params = load_stage(study, "sensitivity", settings)
paths = StudyPaths(results, params.study)
name = f"finetune-s{params.seeds[0]}"
record = artefacts.begin(
    paths.tables / "randomisation.csv",
    parameters=params.dump(),
    inputs=[paths.manifest, *(paths.checkpoint(a, name) for a in params.architectures)],
)
exact = params.runtime.model_copy(update={"precision": "float32", "tf32": False})
backbones.configure(exact, seed=params.seed)
style.style()

# %% [markdown]
# ## Maps at every depth
#
# The intact network first; then the head is randomised, then stage 5 as well, and so on down to the
# first convolution. The question is about the networks: a sample of the test films
# (`sensitivity.randomised_films`) answers it.

# %%
manifest = artefacts.read_table(paths.manifest)
test, wanted = manifest.query("split == 'test'"), params.attribution
most = min(len(test), params.sensitivity.randomised_films)
test = test.sample(most, random_state=derive(params.seed, "randomised films")).sort_index()
patients = test.set_index("image_id")["patient_id"]
print(f"{len(test)} test films of {patients.nunique()} patients")

# %% [markdown]
# The explained class stays the true one, whatever the randomised network says.

# %%
sets = {}
for architecture in params.architectures:
    size = params.input_size[architecture]
    cache = image_cache.load(paths.images(size))
    films = batches.films(cache, test, splits=["test"], classes=params.classes)
    model = backbones.build(architecture, size=size, classes=len(params.classes))
    backbones.load_weights(model, paths.checkpoint(architecture, name))
    explain = partial(
        Explainer(model, layers.select(model, architecture, wanted.roles)), films,
        test["image_id"], batch_size=wanted.batch_size, report=counter(f"films, {architecture}"),
    )  # fmt: skip
    sets[architecture] = {"intact": explain()}
    for step in cascade(model, seed=derive(params.seed, "randomise", architecture)):
        sets[architecture][step] = explain()

# %% [markdown]
# ## How much is left?
#
# Maps of one film before and after, against maps of two *unrelated* films of one class under the
# intact network. Anything above that yardstick is about the film, and no longer about what was
# learnt.

# %%
pairs = pd.concat(
    [
        randomisation_pairs(
            of["intact"], {step: maps for step, maps in of.items() if step != "intact"},
            patients.to_numpy(), architecture=architecture, checkpoint=name,
            seed=derive(params.seed, "ceiling"),
        )
        for architecture, of in sets.items()
    ],
    ignore_index=True,
)  # fmt: skip
table = pd.concat(
    [randomisation_summary(pairs, patients, metric=metric) for metric in METRICS],
    ignore_index=True,
)

# %%
primary = table[table["metric"] == METRICS[0]]
display(figure := figure_of(primary))
style.save(figure, paths.figures / "randomisation")

# %% [markdown]
# Read a line from left to right: with each step less of the network is left. Where it stays far above
# the grey band, the map is made by the film and the architecture, not by the weights. A line that
# breaks off is blank: no positive evidence is left for any film.

# %% [markdown]
# ## Which methods are insensitive?
#
# After the last step. *Insensitive*: the maps are more alike than those of unrelated films.
# *Sensitive*: they are shown not to be, but for a margin of 0.05. `entropy_rise` asks the same
# without comparing maps: the relative rise of the entropy of a map's values (eMPRT, Hedström et al.
# 2024), which should be positive where random weights spread the evidence.

# %%
last = primary[primary["finding"].fillna("") != ""]
shown = ["architecture", "role", "method", "mean", "excess", "excess_low", "excess_high"]
last[[*shown, "entropy_rise", "blank", "finding"]].round(3)

# %% tags=["nbval-check-output"]
steps = [step for step in table["step"].unique() if step != UNRELATED]
print("randomised, in this order:", ", ".join(steps))

# %% [markdown]
# ## Write

# %%
artefacts.write_table(record.path, table)
artefacts.write_table(paths.tables / "randomisation_pairs.csv", pairs)
figures = [paths.figures / f"randomisation.{suffix}" for suffix in ("png", "svg")]
record.complete(paths.tables / "randomisation_pairs.csv", *figures, checkpoint=name)
print("wrote", record.path.name)

# %% [markdown]
# ## What we saw
#
# Which methods, at which layers, need what the network has learnt. Drift between two checkpoints is
# only worth reading where they do: [5 · Drift](05_drift.ipynb) has the fully randomised network as a
# control of its own.
