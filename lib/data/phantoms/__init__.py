"""Drawn chest radiographs with known lungs and lesions, and cohorts of them as files."""
