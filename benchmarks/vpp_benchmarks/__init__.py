"""The benchmark: policies compared over market months, one folder of results per run."""
