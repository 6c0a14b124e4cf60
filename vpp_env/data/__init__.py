"""Measured price months that travel with the package; each file says in its metadata what it is and where from."""
