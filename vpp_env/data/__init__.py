"""Measured price months that travel with the package: what they are and where they are from is in each file's metadata."""
