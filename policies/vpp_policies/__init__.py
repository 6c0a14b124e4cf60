"""Policies: pluggable coordinators of the homes. Each imports the public face of `vpp_env` only."""
