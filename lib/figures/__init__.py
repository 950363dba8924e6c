"""Figures of every step: from arrays and tables to matplotlib, reading and computing nothing."""
