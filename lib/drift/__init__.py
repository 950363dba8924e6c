"""Step 5, drift: how far the maps of two checkpoints differ, beside controls.

Reads maps, predictions and the data manifest. Writes `tables/*.csv`. Needs no TensorFlow.
"""
