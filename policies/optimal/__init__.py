"""The common room of the optimizers: exact storage dynamics, bounds of the month, the merit order, the month's LP."""
