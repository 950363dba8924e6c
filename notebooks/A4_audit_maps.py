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
# # A4 · Audit, first half: from your own model to maps
#
# *Versions of one classifier, before and after fine-tuning, pruning or quantisation: what did each
# decide by?*
#
# Nothing here needs to know how the model was built or trained. Nested models are unfolded, softmax
# or sigmoids are taken off, layers are found by position, and the controls are such as need no
# training. What cannot be audited is refused with the reason, and no code from a file is ever run.

# %% [markdown]
# **Reads** two or more `.keras` or `.h5` files of one architecture and a collection of films.
# **Writes** `audit-<name>/`: `data/manifest.csv` and a folder for each question, which is the same
# folder where there is one question alone, with `question.json`, `maps/<architecture>/*.npz`, and of
# `tables/*.csv` those of predictions, layers and checkpoints. [The second half](A4_audit_pair.ipynb)
# goes on from there, for these maps as for those of any other framework.

# %%
import numpy as np
import pandas as pd

from lib.study import StudyPaths, artefacts, derive, resolve
from lib.study.progress import counter
from lib.data import cache as image_cache
from lib.data.batches import Films
from lib.models import backbones
from lib.checkpoint_audit import classes as class_mapping, films as audited_films
from lib.checkpoint_audit import asking, labels, params as audit_params, questions
from lib.checkpoint_audit.networks import layers, versions as audited

# %% [markdown]
# ## Parameters
#
# By default the notebook audits what notebooks 2 and 3 made, as it would a stranger's files. For
# yours: `make audit BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>`.

# %% tags=["parameters"]
settings = {
    "name": "example",
    "versions": [
        "results/notebooks/smoke/models/resnet50v2/transfer-s0.keras",
        "results/notebooks/smoke/models/resnet50v2/finetune-s0.keras",
    ],
    "data": {"source": "results/notebooks/smoke/data/phantoms/phantoms.csv", "shareable": True},
    "classes": ["normal", "bacterial_pneumonia", "tuberculosis"],
}
results = "results/notebooks"

# %%
params = audit_params.validate(settings)
paths = StudyPaths(results, params.study)
backbones.configure(params.runtime, seed=derive(params.seed, "redraw"))
pd.Series(params.model_dump(exclude={"versions", "data"}), name="value").to_frame()

# %% [markdown]
# ## The versions
#
# The description of the graph is looked through before Keras loads it: a class that is not Keras's
# own, or that brings code along, is refused. All must have the same layers, whether they lie flat
# or in a nested model, and may differ in dropout, augmentation and anything else that acts in
# training only.

# %% tags=["nbval-check-output"]
opened = audited.open_versions(
    *map(resolve, params.versions), names=params.words, size=params.size
)  # fmt: skip
print(f"{opened.name}: films of {opened.shape} (height, width, channels)")
for word, flat in zip(params.words, opened.plain, strict=True):
    print(f"{word}: {len(flat.graph.operations)} operations, returns {flat.output}")

# %% [markdown]
# ## The films
#
# The test films where the collection says which these are, otherwise all of them. Films that a model
# was trained on show what it memorised as well as what it learnt.

# %% tags=["nbval-check-output"]
known = audit_params.recorded(params) | {"files": opened.hashes}
size = opened.shape[0]
data_record = artefacts.begin(paths.manifest, parameters=known)
manifest, rejected, classes = audited_films.read_films(params, size=size, folder=paths.data)
plain = opened.plain[0]
class_mapping.require_outputs(
    plain.graph.output_shape[-1], plain.output, classes=classes, findings=params.findings
)
artefacts.write_table(paths.manifest, manifest)
artefacts.write_table(paths.data / "rejected.csv", rejected)
data_record.complete(paths.images(size), paths.data / "rejected.csv")
print(f"{len(manifest)} films, {len(rejected)} rejected; outputs 0, 1, … are {', '.join(classes)}")

# %% [markdown]
# Each film is explained for its class. A film of a multi-label model is explained for every finding
# that it has, each by the logit of that finding alone.

# %% tags=["nbval-check-output"]
status, film, label = labels.explained_rows(manifest["label"], classes, params)
cache, rows = image_cache.load(paths.images(size)), manifest["row"].to_numpy()
films = Films(cache, rows[film], label)
print(f"{len(films)} maps of each kind, by class: {np.bincount(label).tolist()}")

# %% [markdown]
# ## Preprocessing
#
# Grey levels of another range give another model. What the graph does itself before the first layer
# that learns is found; otherwise it must be said, and is never guessed.

# %% tags=["nbval-check-output"]
single = films if status is None else Films(cache, rows, status)
preprocess, inside = audited.choose_preprocessing(
    opened, single, params.preprocessing, status=status
)  # fmt: skip
flats = opened.preprocessed(preprocess)
told = audited.checkpoint_table(opened, params.files, inside=inside, preprocessing=preprocess)
print("inside the model:", told["inside"][0], "| before it:", preprocess)

# %% [markdown]
# ## Layers
#
# `post_activation` is the last map that all of the evidence passes through, the one that is pooled
# or flattened; `auto_conv` the last convolution, which tf-keras-vis would pick; `stage4` the last
# map of the next finer resolution. `LAYER=name` takes another one of this table.

# %% tags=["nbval-check-output"]
chosen = layers.audited_layers(flats[0].graph, params.layers)
candidates = layers.layer_table(flats[0].graph, chosen)
print(candidates.tail(12).to_string(index=False))

# %% [markdown]
# ## Maps
#
# From logits. Every version but the last is explained twice, and once more with its weights drawn
# anew (Adebayo et al. 2018): maps that do not change with the weights do not show what was learnt.
#
# A sample of them (`attribution.faithfulness_films`) is also asked whether they tell what the prediction
# rests on: the cells that a map ranks highest are blurred first, or shown first on the blurred film,
# and the probability of the class is read off, as with random maps (Petsiuk et al. 2018). And noise, less
# contrast and blur are put on the films: maps should stay where the prediction stays, and follow it
# where it changes (Zhang et al. 2024).

# %%
asked = asking.sample(status, film, label, params)
versions = audited.explain_versions(
    flats, films, manifest["image_id"].to_numpy()[film], names=params.words, layers=params.layers,
    methods=params.methods, batch_size=params.batch_size, report=counter,
    ask=asking.asker(films, asked, batch_size=params.batch_size, seed=params.seed, status=status, film=film),
)  # fmt: skip
print(f"{len(asked)} maps of each kind were asked on altered films")

# %% [markdown]
# ## Do outputs mean the findings that we think?
#
# Of a multi-label model: the area under the ROC curve of each finding by its own output, and the
# output that would tell it best. Of other models the second half asks that of the classes.

# %%
outputs = {
    word: labels.output_table(
        version.own.logits[np.unique(film, return_index=True)[1]], status, classes
    )
    for word, version in zip(params.words, versions, strict=True)
    if status is not None
}
for word, table in outputs.items():
    print(word)
    display(table.round(3))

# %% [markdown]
# ## Questions
#
# Each version with the one before it and with the first; of a multi-label model, for every finding
# that some of the films have and others have not.

# %%
asked = questions.ask(
    paths, versions, manifest, files=params.files, classes=classes, architecture=opened.name,
    settings=known | {"preprocessing": preprocess}, status=status,
    tables={"checkpoints": told, "layers": candidates}, said=labels.output_warnings(outputs),
)  # fmt: skip
for question in asked:
    print(f"{question.folder}: {question.title}")

# %% [markdown]
# ## What we saw
#
# Which layers can be explained, and whether the outputs of the model stand for what we think. From
# here on nothing needs a neural network: [the second half](A4_audit_pair.ipynb) compares maps.
