"""Pure statistics: intervals and tests for seeds crossed with films nested in patients.

Arrays and data frames in and out; reads and writes no file.
"""
