"""Figures of every step: from arrays and data frames to matplotlib figures, without computing.

Only notebooks and the report import from here, so that a colour changes no result.
"""
