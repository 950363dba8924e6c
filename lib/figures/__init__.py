"""Figures of every step: from arrays and data frames to matplotlib figures, without computing.

Reads and writes no table. Only notebooks import from here, so that a colour changes no result.
"""
