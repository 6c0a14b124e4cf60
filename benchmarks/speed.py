"""Print the speed of the environment and of the optimizers, as ratios: `vpp-env speed`."""

import sys

from vpp_benchmarks.speed.physics import main

if __name__ == "__main__":
    sys.exit(main(prog="benchmarks/speed.py"))
