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
# # 7 · Report: what was found, for people who open no notebook
#
# *What is the answer, how sure is it, and which films show it?*
#
# One folder that opens from disk, without a server or network: the answer in sentences made from the
# tables, the verdicts with their intervals, tables that sort and download, and every test film with
# its maps before and after in a browser of cases. Back to [6 · Hypotheses](06_hypotheses.ipynb), or
# to the [index](00_index.ipynb).

# %% [markdown]
# **Reads** `tables/*.csv`, `verdicts.json`, `figures/*.png`, `data/audit.json`, the maps, all
# manifests and the executed notebooks. **Writes** `report/index.html`, `report/cases.html` and what
# they need.

# %%
from lib.study import StudyPaths, artefacts, load_stage
from lib.evidence.faithfulness import unfaithful
from lib.figures import drift as drift_plots, style
from lib.report import page as report
from lib.report.digest import public_parameters

# %% [markdown]
# ## Parameters
#
# The default reports what notebooks 1 to 6 made with their own defaults. `make reproduce` passes a
# study's full grid.

# %% tags=["parameters"]
study = "smoke"
settings = {"architectures": ["resnet50v2"]}
results = "results/notebooks"

# %%
params = load_stage(study, "report", settings)
paths = StudyPaths(results, params.study)
# The report may be sent to others: its record names no place on this machine.
record = artefacts.begin(
    paths.report,
    parameters=public_parameters(params.dump()),
    inputs=[paths.tables / "drift.csv", paths.verdicts],
)
style.style()

# %% [markdown]
# ## The figure of the first page
#
# The primary comparison alone: the map that is pooled, the first method. All layers and methods follow
# below it in the report.

# %%
drift = artefacts.read_table(paths.tables / "drift.csv")
cell = drift["role"].eq(params.attribution.roles[-1])
cell &= drift["method"].eq(params.attribution.methods[0])
marked = unfaithful(artefacts.read_table(paths.tables / "faithfulness.csv"))
display(figure := drift_plots.controls(drift[cell], metric="iou_top20", marked=marked))
style.save(figure, paths.figures / "answer")

# %% [markdown]
# From left (nothing in common) to right (the same places): a grey field reaches from maps of
# unrelated films to the placebo, where the study has both. Where in it does fine-tuning lie? The
# report begins with the same in one number and its interval.

# %% [markdown]
# ## Build
#
# Films travel as small JPEGs where the data are marked shareable, otherwise maps alone, on a neutral
# ground, and no name of a film. Maps travel on their native grid and are drawn in the browser.

# %%
files = report.write(
    paths, paths.report.parent, classes=params.classes, shareable=params.show_films
)
pages = [file for file in files if file.suffix == ".html"]
images = [file for file in files if file.suffix == ".jpg"]

# %% [markdown]
# What is in the folder:

# %% tags=["nbval-check-output"]
print("films:", len(images), "of them shown:", params.show_films)
for page in pages[:2]:
    print(page.name)

# %% [markdown]
# ## Write

# %%
record.complete(*files[1:], films=len(images))
size = sum(file.stat().st_size for file in files) / 1e6
print("wrote", record.path.name, "and", len(files) - 1, f"files, {size:.1f} MB")

# %% [markdown]
# ## What we saw
#
# Open `report/index.html` in a browser: the folder holds all that it needs and can be copied or
# zipped as it is. Nothing in it was typed by hand; a sentence that the tables do not carry is not
# there. Back to the [index](00_index.ipynb).
