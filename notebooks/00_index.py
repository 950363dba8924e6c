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
# # Index: from the question to the verdict
#
# *Does fine-tuning change why a chest X-ray classifier decides, and how would one know?*
#
# These notebooks are one book. Each takes a step, says what it reads and writes, shows what it did,
# and hands on to the next. This page is the thread through them, with the answer of the published
# phantom study at its end.

# %% [markdown]
# **Reads** `results/reference/phantom`: tables, figures and verdicts. **Writes** nothing.

# %%
import json
from IPython.display import Image, Markdown

from lib.study import StudyPaths
from lib.study.artefacts import read_table
from lib.published import publish

# %% [markdown]
# ## Parameters
#
# Another published study can be named here, for example `real`.

# %% tags=["parameters"]
study = "phantom"
results = "results/reference"

# %%
paths = StudyPaths(results, study)
verdicts = json.loads(paths.verdicts.read_text(encoding="utf-8"))["verdicts"]
drift = read_table(paths.tables / "drift.csv")

# %% [markdown]
# ## The thread
#
# | | asks | and hands on |
# |---|---|---|
# | [0 · Pre-train](00_pretrain_source.ipynb) | Where do the first weights come from, without a download? | source weights |
# | [1 · Data](01_prepare_data.ipynb) | Which films, and what gives their class away for free? | films, splits, audit |
# | [2 · Transfer](02_transfer.ipynb) | How good is a frozen backbone with a new head? | the checkpoint *before* |
# | [3 · Fine-tune](03_finetune.ipynb) | What does training the backbone add, beside a placebo? | the checkpoints *after* |
# | [4 · Attribute](04_attribute.ipynb) | Where does each checkpoint find its evidence? | maps |
# | [5 · Drift](05_drift.ipynb) | Did the evidence move more than it moves without cause? | tables, figures |
# | [6 · Hypotheses](06_hypotheses.ipynb) | What may be said, by rules set beforehand? | verdicts |
# | [7 · Report](07_report.ipynb) | How does anyone else read it? | a page with all cases |
#
# Beside the thread: [A1 · What an attribution map is made of](A1_attribution_methods.ipynb) takes one
# map apart, [A2 · Sensitivity](A2_sensitivity.ipynb) asks how much the answer depends on choices,
# [A3 · Data remedies](A3_data_remedies.ipynb) what can be done about data that give classes away,
# [A4 · Audit](A4_audit_maps.ipynb) does the same for versions of your own model
# ([second half](A4_audit_pair.ipynb)),
# [A5 · Randomised weights](A5_randomised_weights.ipynb) asks whether maps need what was learnt, and
# [A6 · Source weights](A6_source_weights.ipynb) brings a checkpoint in and says whether it will do.

# %% [markdown]
# ## How good are the models?
#
# Macro AUC and balanced accuracy on test films, mean over seeds.

# %%
performance = read_table(paths.tables / "performance.csv")
Markdown(publish.markdown(publish.performance_lines(performance)))

# %% [markdown]
# The distance from transfer to fine-tuned is what the backbone learnt; the placebo shows what the
# extra training of the head alone brings.

# %% [markdown]
# ## Did the evidence move?

# %%
Image(filename=paths.figures / "controls.png", width=800)

# %% [markdown]
# From left (nothing in common) to right (the same places). A fine-tuned point close to the placebo:
# the evidence stayed. At the ceiling: two maps of one film are no more alike than those of two
# patients.

# %% [markdown]
# ## What may be said?

# %%
Markdown("\n\n".join(f"**{v['question']}** {v['sentence']}" for v in verdicts.values()))

# %% [markdown]
# What a shortcut does, planted on the films of one class and taken away again (H5), is a study of its own:
# [its published numbers](../results/reference/shortcut/README.md); so are
# [real films](../results/reference/real/README.md).
#
# The questions and the rules that decide them stand in `params/hypotheses.yml`:

# %% tags=["nbval-check-output"]
print(", ".join(verdicts))

# %% [markdown]
# ## What we saw
#
# The whole way from a question to what may be said about it. The same tables and figures, with every
# test film, are in the published report, `results/reference/phantom/report/index.html`. Begin with
# [1 · Data](01_prepare_data.ipynb), or with [0 · Pre-train](00_pretrain_source.ipynb).
