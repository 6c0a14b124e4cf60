"""Compare policies over a market month: `python benchmarks/compare.py --policies agentic centralized`."""

import os
import sys

from vpp_benchmarks.cli.main import COMMANDS, call, end_at_once

if __name__ == "__main__":
    # a script finds modules beside itself first; a policy `my_module:MyPolicy` is in the working directory
    sys.path[0] = os.getcwd()
    end_at_once()
    sys.exit(call(COMMANDS[0], sys.argv[1:], "benchmarks/compare.py"))
