"""Start the dashboard on this machine: `vpp-env dashboard RUN ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.dashboard.source import check_roots
from vpp_env.errors import needs

APP = Path(__file__).with_name("pages.py")
OPTIONS = {
    "server.address": "localhost",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": "localhost",
    "client.toolbarMode": "minimal",
    "runner.magicEnabled": "false",
}
"""Only this machine is served, nothing is sent anywhere, and no docstring is shown as text of a page."""


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    examples = ("results/mine", "results/mine results/other --port 8600")
    p = Parser(prog, "Look at runs in a browser, also while they are played.", examples)
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders that compare has written, or is writing")
    p.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    args = p.parse_args(argv)
    check_roots(args.runs)
    with needs("the dashboard", "dashboard"):
        from streamlit.web import cli
    flags = [f"--{name}={value}" for name, value in {**OPTIONS, "server.port": args.port}.items()]
    sys.argv = ["streamlit", "run", str(APP), *flags, "--", *(str(run.resolve()) for run in args.runs)]
    return int(cli.main(standalone_mode=False) or 0)
