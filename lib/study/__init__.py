"""What a study is: its parameters, its names, its seeds, and where its artefacts lie.

Reads `params/*.yml`. Writes nothing but the manifest beside each artefact. Every other wing imports
from here, and this wing imports from none.
"""
