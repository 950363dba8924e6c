"""Step 6, verdicts: the stated hypotheses, the comparisons that decide them, and the answer.

Reads `params/hypotheses.yml` and the tables. Writes `verdicts.json` and the tables of estimates.
"""
