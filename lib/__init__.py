"""The thin library behind the notebooks: one module per concept of the study."""
