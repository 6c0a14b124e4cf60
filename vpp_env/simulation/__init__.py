"""A month and the world that plays it: one function for a step, and the only builders of views."""
