"""One gate of a policy that plans: what is known, the plan, the offers made of it, the merit order. NumPy only."""
