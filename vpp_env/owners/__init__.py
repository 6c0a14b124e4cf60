"""The owners: their own asks, and what they say in words."""
