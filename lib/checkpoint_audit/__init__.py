"""The audit of any two Keras checkpoints: whether the evidence of one's own model moved.

Reads two checkpoints and films. Writes `audit-<name>/` with tables, figures and a report.
"""
