"""The networks of an audit: files that are read safely, flat graphs, and maps of every version."""
