"""Generated series against measured statistics."""
