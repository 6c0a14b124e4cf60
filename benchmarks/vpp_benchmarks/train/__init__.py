"""Training of policies that the benchmark scores."""
