"""Make a cassette anew: `vpp-env cassette` records the shipped one with the scripted program.

The shipped cassette is NOT a recording of a language model: `vpp_policies.llm.scripted`, a program of patterns and
formulas, answered. `--llm gemini` records a real one, with your key and at your cost. It has to be made again whenever
prompts, statements, or what the policy does in the scenario change; a test says when. `--standard` records the standard
set with card and bill, `--check` plays it again (`recording`).
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
from vpp_benchmarks.llm import recording
from vpp_env.errors import PolicyError
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

EXAMPLES = (
    "",
    "--scenario quick --llm gemini --out mine.sqlite",
    "--standard recorded --llm openai --model llama3.1:8b --base-url http://localhost:11434/v1",
    "--check recorded",
)
REACH = ("model", "models", "base_url", "budget_usd", "concurrency", "timeout_s", "thinking")
"""Options that a standard recording hands to the model."""


def parser(prog: str = "vpp-env cassette") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Record the answers of a language model, or of the scripted program, for replay.", EXAMPLES)
    p.add_argument("--scenario", default="week20", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    p.add_argument("--llm", default="scripted", metavar="NAME|MODULE:NAME", help="default: %(default)s")
    p.add_argument("--out", type=Path, default=shipped(), metavar="FILE", help="default: the shipped cassette")
    whole = p.add_argument_group("the standard set (docs/llm-calls.md)")
    whole.add_argument("--standard", type=Path, metavar="DIR", help="record it there: cassette, card and bill")
    whole.add_argument("--check", type=Path, metavar="DIR", help="play a recording again, and compare to the bit")
    whole.add_argument("--model", help="model id; default: the configuration's")
    whole.add_argument("--models", metavar="FILE", help="ids, prices and rates, like models.toml of this package")
    whole.add_argument("--base-url", help="address of an OpenAI-compatible server")
    whole.add_argument("--budget-usd", type=float, metavar="USD", help="of each part")
    whole.add_argument("--concurrency", type=int, help="calls side by side")
    whole.add_argument("--timeout-s", type=float, metavar="S", help="of one call")
    whole.add_argument("--thinking", type=int, metavar="TOKENS", help="that a reasoning model may think")
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
    reach = {name: getattr(args, name) for name in REACH if getattr(args, name) is not None}
    if reach and args.standard is None:
        raise PolicyError(f"{', '.join(f'--{n}'.replace('_', '-') for n in reach)}: applies to --standard only")
    if args.check is not None:
        wrong = recording.check(args.check)
        print("\n".join(wrong) or f"{args.check}: everything comes to the same, to the bit")
        return int(bool(wrong))
    if args.standard is not None:
        card = recording.record(args.standard, {"llm": args.llm, **reach})
        print(recording.bill_text(card))
        return 0
    count = record(args.scenario, args.seed, args.llm, args.out)
    print(f"{args.out}: {count} answers of {args.llm}, {args.out.stat().st_size / 1024:.0f} kB")
    return 0
