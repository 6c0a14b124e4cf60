"""Language models in the benchmark: estimate, cassette, evaluation."""
