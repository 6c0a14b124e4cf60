"""The common room of the optimizers: exact storage dynamics, ceilings, the value of energy, the month's LP."""
