"""Step 7, the report: one folder of pages that opens from disk.

Reads tables, figures and maps. Writes `report/index.html` and the pages beside it.
"""
