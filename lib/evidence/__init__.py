"""Step 5, known evidence: what lies in the lesion, the lungs or a planted shortcut.

Reads maps and masks. Writes `tables/evidence*.csv`, `validity.csv` and `shortcut.csv`.
"""
