"""The physics, compiled: devices, the loops over homes, and the ledger."""
