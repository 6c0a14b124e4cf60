"""Run every fuzzer: `python -m tests.fuzz 10000` tries so many inputs in all and says how they ended.

    python -m tests.fuzz [INPUTS] [--target NAME ...] [--first SEED]

Every fault is printed with its seed as it is found; `--target NAME --first SEED` and INPUTS 1 try it again.

    python -m tests.fuzz policies [N]       # policies that misbehave
    python -m tests.fuzz kills [N]          # experiments that are killed and resumed
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz import kills, policies
from tests.fuzz.harness import FAULTS, Fault, run
from tests.fuzz.targets import TARGETS

COMMANDS = {"policies": policies.main, "kills": kills.main}


def main() -> int:
    """Run, print the table of docs/reliability.md, and return 1 where there was a fault."""
    if sys.argv[1:] and sys.argv[1] in COMMANDS:
        return COMMANDS[sys.argv[1]](sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument(
        "inputs", type=int, nargs="?", default=10_000, help="in all, shared out by the targets' weights"
    )
    parser.add_argument("--target", action="append", choices=[t.name for t in TARGETS], help="only these")
    parser.add_argument("--first", type=int, default=0, help="first seed of every target")
    chosen = parser.parse_args()
    targets = [t for t in TARGETS if not chosen.target or t.name in chosen.target]
    whole = sum(t.weight for t in targets)
    rows, faults = [], 0
    for target in targets:

        def told(fault: Fault, name: str = target.name) -> None:
            print(f"{name}, seed {fault.seed}: {fault.kind}\n{fault.told:.2000}\n", file=sys.stderr, flush=True)

        n = round(chosen.inputs * target.weight / whole)
        tally = run(target, range(chosen.first, chosen.first + n), told)
        faults += len(tally.faults)
        counts = [tally.inputs, tally.refused, tally.accepted, *(tally.count(kind) for kind in FAULTS)]
        rows.append(f"| {target.name}: {target.about} | {' | '.join(f'{n:,}' for n in counts)} |")
        print(f"{target.name}: {tally.inputs} inputs in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    print(f"| what is changed | inputs | refused in one line | accepted | {' | '.join(FAULTS)} |")
    print("|---|" + "---:|" * (3 + len(FAULTS)))
    print("\n".join(rows))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
