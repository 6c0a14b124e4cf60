"""Start the dashboard on this machine: `python -m vpp_benchmarks.dashboard RUN ...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.dashboard.source import check_roots
from vpp_env.errors import VppError

APP = Path(__file__).with_name("app.py")
OPTIONS = {
    "server.address": "localhost",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": "localhost",
    "client.toolbarMode": "minimal",
}
"""Only this machine is served, and nothing is sent anywhere."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    p = argparse.ArgumentParser(prog="vpp_benchmarks.dashboard", description="Look at runs in a browser.")
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of compare.py, also of one under way")
    p.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    args = p.parse_args(argv)
    try:
        check_roots(args.runs)
    except VppError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        from streamlit.web import cli
    except ImportError:
        print('error: the dashboard needs Streamlit: pip install "vpp-env[dashboard]"', file=sys.stderr)
        return 2
    flags = [f"--{name}={value}" for name, value in {**OPTIONS, "server.port": args.port}.items()]
    sys.argv = ["streamlit", "run", str(APP), *flags, "--", *(str(run.resolve()) for run in args.runs)]
    return int(cli.main(standalone_mode=False) or 0)


if __name__ == "__main__":
    sys.exit(main())
