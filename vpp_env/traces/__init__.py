"""Exogenous series: prices, weather, sun, load, vehicles. Nothing in here depends on what a policy does."""
