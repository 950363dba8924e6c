"""Step 4, maps: why a checkpoint decides, for many layers and methods at the price of one pass.

Reads a checkpoint and films. Writes `maps/<architecture>/<checkpoint>.npz`: raw, native grid,
float32. Imports from `lib.study`, `lib.data` and `lib.models`.
"""
