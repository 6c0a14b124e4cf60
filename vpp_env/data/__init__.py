"""Measured price months that travel with the package; `sources.json` says what each is and where from."""
