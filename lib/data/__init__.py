"""Step 1, films: from a folder, a table or drawn phantoms to arrays of equal squares.

Reads films and their table. Writes `data/manifest.csv`, `data/images_<size>.npy` and what was
rejected. Imports from `lib.study` alone.
"""
