"""The audit of any two Keras checkpoints: did the evidence of your own model move?

Reads two checkpoints and films. Writes `audit-<name>/` with tables, figures and a report.
"""
