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
# # 0 · Pre-train on a source task
#
# *What does the backbone know before it sees a chest film, when nothing may be downloaded?*
#
# Transfer learning needs a source. The studies start from weights that come with the code
# (`weights.source=drawn`), learnt from drawn radiographs with other findings; [A6 · Source
# weights](A6_source_weights.ipynb) measures a source and brings in one of yours. ImageNet weights
# (`imagenet`) are the usual ones, but they must be fetched.
#
# This notebook makes the one source that needs no film at all (`fractal`): fractals of iterated
# function systems (Kataoka et al. 2020), one system per category. Random weights would make the study
# vacuous: there, the maps of the two checkpoints agree no better than maps of unrelated films.

# %% [markdown]
# **Reads** the parameters.
# **Writes** `weights/<architecture>-fractal-<key>.weights.h5`, where the
# key is a hash of everything that determines the weights; studies with equal settings share them.

# %%
import pandas as pd

from lib.study import StudyPaths, artefacts, load_stage
from lib.models import backbones, fractals
from lib.models.weights import fractal_key, fractal_seed
from lib.figures import pictures, style

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"

# %% [markdown]
# Checked, with the path that the weights will have.

# %%
params = load_stage(study, "pretrain", settings)
source, seed = params.weights.fractal, fractal_seed(params.seed)
key = fractal_key(architecture, source, seed=params.seed)
weights = StudyPaths(results, params.study).weights(architecture, key)
record = artefacts.begin(weights, parameters=params.dump() | {"architecture": architecture})
backbones.configure(params.runtime, seed=seed)
style.style()
pd.Series(params.table(), name="value").to_frame()

# %% [markdown]
# ## The source task
#
# Each row is one category: the same few affine maps, slightly changed, then rotated, inverted and
# blurred. Telling them apart takes edges, textures and shapes. The images may be smaller than the
# films: convolutions do not care, and statistics that do are computed anew on the films.

# %% tags=["nbval-check-output"]
images, categories = fractals.draw_set(source, seed=seed)
print(f"{len(images)} images of {source.categories} categories, {source.size} × {source.size} px")

# %%
display(pictures.image_rows(images, categories, rows=4, columns=8, title="Fractal categories"))

# %% [markdown]
# The categories differ in texture and outline while position, contrast and polarity carry no
# information, much as exposure carries none in a chest film.

# %% [markdown]
# ## Pre-training
#
# From random weights, all layers; one tenth of the images is held out.

# %%
backbone, history = fractals.pretrain(
    architecture,
    images,
    categories,
    source,
    runtime=params.runtime,
    seed=seed,
    state=weights.with_suffix(".state"),
    key=key,
)

# %%
history[["epoch", "train_loss", "loss", "accuracy"]].round(3)

# %% [markdown]
# Guessing has a loss of the logarithm of the number of categories: a training loss below it says that
# the backbone learns to tell fractals apart. The held-out loss can lag behind: the running statistics of batch normalisation need more steps than
# this short task has, which is one reason why they are computed anew on the training films before
# the transfer stage.

# %% [markdown]
# ## Write

# %%
with artefacts.atomic(weights) as temporary:
    backbone.save_weights(temporary)
curve = weights.with_suffix(".history.csv")
artefacts.write_table(curve, history)
record.complete(curve)
print("wrote", weights.name)

# %% [markdown]
# ## What we saw
#
# A backbone that has learnt something general from no image at all. Whether it is good enough is
# decided by the transfer stage: see the macro AUC in [2 · Transfer](02_transfer.ipynb). Back to the
# [index](00_index.ipynb).
