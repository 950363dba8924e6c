"""Steps 2 and 3, networks: backbones, first weights, transfer, fine-tuning and the placebo.

Reads films as batches and the source weights. Writes `models/<architecture>/<checkpoint>.keras`
with its history and its predictions. Imports from `lib.study` and `lib.data`.
"""
