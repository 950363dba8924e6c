"""What a classifier could learn from a collection other than disease. Writes `data/audit.json`."""
