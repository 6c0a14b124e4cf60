"""Readers of measured prices: tidy tables and raw OASIS files."""
