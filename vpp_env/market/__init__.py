"""The market: clearing, reserve, payment."""
