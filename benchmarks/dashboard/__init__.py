"""The dashboard: `python -m benchmarks.dashboard RUN ...`; an extra, `pip install "vpp-env[dashboard]"`."""
