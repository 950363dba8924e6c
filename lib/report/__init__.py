"""Step 7, the report: one folder of pages that opens from disk, and the published study.

Reads tables, figures and maps. Writes `report/index.html` and `results/reference/<study>`.
"""
