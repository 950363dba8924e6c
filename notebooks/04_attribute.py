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
# # 4 · Attribute: where is the evidence?
#
# *Which places of a film support the true class, according to each checkpoint?*
#
# Three methods (LayerCAM, Grad-CAM++, Grad-CAM) at four layers. Each is a different way of summing
# activations weighted by gradients, so they can disagree, and the layer matters: at
# `post_activation`, the map that global average pooling reads, the gradient is the same at every
# place, and LayerCAM and Grad-CAM++ must then coincide. The published reversal of rankings cannot
# arise there. `auto_conv` is the layer that tf-keras-vis picks by itself, and most likely (inferred)
# the one behind "the penultimate convolutional layer". `stage4`, the last map before the final
# stage, sees twice as fine.
#
# Score-CAM (no gradient, one prediction per channel and film) and other readings of Grad-CAM++ can
# be added by name: `attribution.methods`.

# %% [markdown]
# **Reads** checkpoints, the manifest and the films.
# **Writes** `maps/<architecture>/<checkpoint>.npz`: raw maps on the layer's own grid, float32. Where
# a training was followed, also `maps/<architecture>/<checkpoint>.epochs`: maps after every epoch. Of
# two checkpoints `maps/<architecture>/<checkpoint>.faithfulness.csv`: what the prediction rests on, and
# `….perturbed.npz`: maps of films with noise, less contrast or blur.
# Where a shortcut was planted `….marker.csv`: what a checkpoint answers to films with another marker.

# %%
import shutil

import numpy as np
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, load_stage
from lib.study.names import sources_of, trained
from lib.study.progress import counter
from lib.data import batches, cache as image_cache
from lib.models import backbones, controls, layers, training_loop
from lib.attribution import faithfulness, marker, perturbed
from lib.attribution.explainer import Explainer
from lib.attribution.maps import blank_tables, correct, largest_difference
from lib.figures import pictures, style

# %% [markdown]
# ## Parameters
#
# The last five are controls that no training made: the transfer checkpoint once more (`repeat`), with
# all of its weights permuted (`randomised`, Adebayo et al. 2018), with every weight tensor moved as
# far as fine-tuning moved it but in a random direction (`perturbed`), with the head of the fine-tuned
# network (`head_only`), and with all but its head (`features_only`).

# %% tags=["parameters"]
study = "smoke"
settings = {}
results = "results/notebooks"
architecture = "resnet50v2"
base = "transfer-s0"
checkpoints = [
    "transfer-s0", "finetune-s0", "repeat-s0", "randomised-s0", "perturbed-s0", "head_only-s0",
    "features_only-s0",
]  # fmt: skip
followed = "finetune-s0"

# %% [markdown]
# Maps are computed in float32 with TensorFloat-32 off, whatever the training used.

# %%
params = load_stage(study, "attribute", settings)
paths = StudyPaths(results, params.study)
size = params.input_size[architecture]
sources = {
    name: [paths.checkpoint(architecture, source) for source in sources_of(name, base)]
    for name in checkpoints
}

# %% [markdown]
# Every set of maps has a record of the checkpoints that it is made of.

# %%
records = {
    name: artefacts.begin(
        paths.maps(architecture, name),
        parameters=params.dump() | {"architecture": architecture, "checkpoint": name},
        inputs=[paths.manifest, *sources[name]],
    )
    for name in checkpoints
}
exact = params.runtime.model_copy(update={"precision": "float32", "tf32": False})
backbones.configure(exact, seed=params.seed)
style.style()
pd.Series(params.table(), name="value").to_frame()

# %% [markdown]
# ## Model, layers and films
#
# All checkpoints share one graph; only the weights change. Test films only. The explained class is
# the true one at every checkpoint unless `attribution.explained` says otherwise: each checkpoint's
# own prediction would mix a change of evidence with a change of decision.

# %% tags=["nbval-check-output"]
model = backbones.build(architecture, size=size, classes=len(params.classes))
wanted = params.attribution
explained = layers.select(model, architecture, wanted.roles, wanted.layers.get(architecture, ()))
manifest, cache = artefacts.read_table(paths.manifest), image_cache.load(paths.images(size))
test = manifest[manifest["split"] == "test"]
films = batches.films(cache, manifest, splits=["test"], classes=params.classes)
print(
    pd.DataFrame({r: [*x.output.shape[1:]] for r, x in explained.items()}, ["h", "w", "channels"])
)

# %% [markdown]
# ## Maps
#
# One compiled forward and backward pass per batch gives activations and gradients of all layers;
# tf-keras-vis turns them into maps. The score is the logit, not the softmax probability, whose
# gradient vanishes as confidence grows and would fake drift.
#
# A sample of the films (`attribution.faithfulness_films`) is also asked whether the maps tell what
# the prediction rests on, before and after fine-tuning: the cells that a map ranks highest are
# blurred first (deletion), or shown first on the blurred film (insertion), and the probability of the
# class is read off (Petsiuk et al. 2018). Random maps are asked likewise, on the same films and
# grids. The same films are also explained with noise, with less contrast and blurred: a map should stay
# where the prediction does. The graph that makes the maps answers, so that no other one is traced.

# %%
explain = Explainer(
    model, explained, methods=wanted.methods, score=wanted.score,
    score_cam_channels=wanted.score_cam_channels,
)  # fmt: skip
of_class = dict(zip(params.classes, range(len(params.classes)), strict=True))
judged = [base, *[name for name in checkpoints if name.startswith("finetune")][:1]]
draw = np.random.default_rng(derive(params.seed, "faithfulness films"))
chosen = np.sort(draw.permutation(len(test))[: wanted.faithfulness_films])
sample = np.asarray(cache[films.rows[chosen]])

# %% [markdown]
# Where a shortcut was planted, every network is also asked about the films whose marker is another in
# their twins without a shortcut: does its answer hang on the marker?

# %%
other = np.array([], int)
if params.planted:
    twins = image_cache.load(paths.corrected(size))
    other = marker.changed(cache[films.rows], twins[films.rows])
    altered, betrayed = twins[films.rows[other]], of_class[params.data.phantom.shortcut_class]
print(f"{len(other)} films with another marker")

# %%
sets, asked, changed, used = {}, {}, {}, {}
target = of_class.get(wanted.explained, wanted.explained)
once = {"batch_size": wanted.batch_size}
for name in checkpoints:
    controls.load(model, name, sources[name], seed=params.seed)
    sets[name] = explain(
        films, test["image_id"], explained=target, report=counter(f"films, {name}"), **once
    )
    print(f"{name}: {len(test)} films, {correct(sets[name]).mean():.0%} classified correctly")
    if len(other) and marker.asked(name):
        used[name] = marker.answers(sets[name], other, explain.logits(altered), betrayed)
    if name in judged and len(chosen):
        of, seed = (sets[name], chosen), derive(params.seed, "faithfulness")
        asked[name] = faithfulness.curves(explain.logits, sample, *of, seed=seed)
        changed[name] = perturbed.explained(explain, films, *of, seed=seed, **once)

# %% [markdown]
# ## The way there
#
# One training is followed: its weights after every epoch are explained like a checkpoint. Notebook 5
# asks whether the evidence moves before the accuracy does, or after, and whether it comes to rest.

# %%
on_the_way = {}
known = sorted(paths.epochs(architecture, followed).glob("epoch-*.npz")) if followed else []
for file in known:
    training_loop.load_epoch(model, file)
    on_the_way[file.name] = explain(
        films, test["image_id"], batch_size=wanted.batch_size,
        explained=of_class.get(wanted.explained, wanted.explained),
        report=counter(f"films, {file.stem}"),
    )  # fmt: skip
print(f"{followed or 'no training'} was followed for {len(known)} epochs")

# %% [markdown]
# ## Blank maps
#
# A map that is zero everywhere shows no evidence *for* the class. That happens where a layer is
# linear and mostly negative. Blank maps are counted, never dropped silently.

# %%
blanks = blank_tables({architecture: sets}, classes=params.classes)
blanks.groupby(["checkpoint", "role", "method"])[["blank", "n"]].sum()

# %% [markdown]
# ## A check that must hold
#
# With a linear head on pooled features, LayerCAM equals Grad-CAM++ up to a factor at
# `post_activation`.

# %% tags=["nbval-check-output"]
two = ("layercam", "gradcam_plus_plus")
for name, maps in sets.items():
    if {("post_activation", method) for method in two} <= set(maps.maps):
        gap = largest_difference(maps, "post_activation", two)
        print(f"{name}: LayerCAM equals Grad-CAM++ at post_activation: {gap < 1e-5}")

# %% [markdown]
# ## One film through all layers and methods

# %%
last = [name for name in sets if trained(name)][-1]
maps = sets[last]
shown = int(np.argmax(correct(maps)))  # the first film that is classified correctly
film = cache[films.rows[shown]] if params.show_films else None
display(pictures.map_grid({k: v[shown] for k, v in maps.maps.items()}, film=film))

# %% [markdown]
# Rows are layers, columns are methods, each map scaled to its own maximum. Read down a column to see
# what the choice of the layer changes, along a row what the method changes; in the row
# `post_activation` the first two maps are one and the same.

# %% [markdown]
# ## Write

# %%
folder = paths.epochs(architecture, followed, kind="maps")
shutil.rmtree(folder, ignore_errors=True)  # an earlier training may have had more epochs
for name, maps in on_the_way.items():
    maps.save(folder / name)

# %%
for name, maps in sets.items():
    maps.save(records[name].path)
    beside = [folder / file for file in on_the_way] if name == followed else []
    answers = {paths.faithfulness: asked.get(name), paths.marker_use: used.get(name)}
    for place, found in (answers | {paths.perturbed: changed.get(name)}).items():
        file = place(architecture, name)
        file.unlink(missing_ok=True)
        if found is not None:
            found.save(file) if place == paths.perturbed else artefacts.write_table(file, found)
            beside.append(file)
    records[name].complete(*beside, films=len(maps.image_id), layers=maps.layers)
    print("wrote", records[name].path.name, "with", len(maps.maps), "kinds of maps")

# %% [markdown]
# ## What we saw
#
# Each checkpoint's evidence, raw. It means little alone: [5 · Drift](05_drift.ipynb) compares it with
# the other checkpoints. Back: [3 · Fine-tune](03_finetune.ipynb), [index](00_index.ipynb).
