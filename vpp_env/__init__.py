"""A virtual power plant's market month: an environment and benchmark for coordinating homes."""
