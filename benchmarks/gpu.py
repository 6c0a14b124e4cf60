"""Print what a GPU plays, against one core of the same machine: needs `pip install "vpp-env[cuda]"` and a card."""

import sys

from vpp_benchmarks.speed.gpu import main

if __name__ == "__main__":
    sys.exit(main(prog="benchmarks/gpu.py"))
