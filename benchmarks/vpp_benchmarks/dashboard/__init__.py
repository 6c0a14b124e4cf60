"""The dashboard: `python -m vpp_benchmarks.dashboard RUN ...`; an extra, `pip install "vpp-env[dashboard]"`."""
