"""The dashboard: `vpp-env dashboard RUN ...`; an extra, `pip install "vpp-env[dashboard]"`."""
