"""The classes that a study tells apart: names shared by its parameters and its phantoms."""

CLASSES = ("normal", "bacterial_pneumonia", "viral_pneumonia", "covid19", "tuberculosis")
