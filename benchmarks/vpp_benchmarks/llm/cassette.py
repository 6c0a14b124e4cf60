"""Make a cassette anew: `vpp-env cassette` records the shipped one with the scripted program.

The shipped cassette is NOT a recording of a language model: `vpp_policies.llm.scripted`, a program of patterns and
formulas, answered. `--llm gemini` records a real one, with your key and at your cost. It has to be made again whenever
prompts, statements, or what the policy does in the scenario change; a test says when.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vpp_policies.agentic import agentic
from vpp_policies.agentic.llm_brain import LlmBrain
from vpp_policies.llm.stack import shipped

from vpp_benchmarks.cli.common import Parser, command
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

EXAMPLES = ("", "--scenario quick --llm gemini --out mine.sqlite")


def parser(prog: str = "vpp-env cassette") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Record the answers of a language model, or of the scripted program, for replay.", EXAMPLES)
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    p.add_argument("--llm", default="scripted", metavar="NAME|MODULE:NAME", help="default: %(default)s")
    p.add_argument("--out", type=Path, default=shipped(), metavar="FILE", help="default: the shipped cassette")
    return p


def record(scenario: str, seed: int, llm: str, out: Path) -> int:
    """Play a month while recording, put the file in place at the end, and return the number of answers."""
    fresh = out.with_name(f".{out.name}.tmp")
    fresh.unlink(missing_ok=True)
    try:
        policy = agentic(brain="llm", llm=llm, cassette=str(fresh), transcript="none")
        month = Month(load_scenario(scenario), seed)
        simulate(month, policy)
        assert isinstance(policy.brain, LlmBrain)
        policy.brain.close()
        with closing(sqlite3.connect(fresh)) as db, db:
            rows = [("scenario", month.scenario.name), ("scenario_hash", month.scenario.hash), ("seed", str(seed))]
            db.executemany("insert or replace into meta values (?, ?)", rows)
            count = db.execute("select count(*) from answers").fetchone()[0]
        with closing(sqlite3.connect(fresh)) as db:
            db.execute("vacuum")
        os.replace(fresh, out)
    finally:
        fresh.unlink(missing_ok=True)
    return int(count)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line."""
    args = parser(prog).parse_args(argv)
    count = record(args.scenario, args.seed, args.llm, args.out)
    print(f"{args.out}: {count} answers of {args.llm}, {args.out.stat().st_size / 1024:.0f} kB")
    return 0
