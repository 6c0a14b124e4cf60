"""What a run was worth: the record, satisfaction, wear, key figures."""
