"""The published studies: how a finished study becomes one, and what is checked and said of them.

Reads `results/<study>` and `results/reference`. Writes `results/reference/<study>`, its overview,
and what README says of it. What they took tells how long a new study will take.
"""
