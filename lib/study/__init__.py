"""What a study is: its parameters, its names, its seeds, and where its artefacts lie.

Reads `params/*.yml`. Writes nothing but the manifest beside each artefact. Every other wing imports
from here, and this wing imports from none.
"""

from lib.study.load import load_stage
from lib.study.paths import StudyPaths, resolve
from lib.study.seeds import derive

__all__ = ["StudyPaths", "derive", "load_stage", "resolve"]
