"""The console command `vpp-env`: one word chooses what is done.

A command's module is imported when it is called, so that help and typos answer at once, and so that a package that a
command needs and the base installation lacks is named with its install command.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from threading import Event, Thread
from typing import NamedTuple

SLOW_SECONDS = 1.5
"""Seconds of importing after which a command that is about to play says that it is there."""
AGAIN_SECONDS = 4.0
"""Seconds after which it says so again."""
LOADING = "loading packages; the first run also compiles kernels, once"
SLOW = {"compare": LOADING, "paper": "loading packages"}
"""Commands of which packages take seconds to load -> what is said meanwhile."""


class Command(NamedTuple):
    """One sub-command."""

    group: str
    name: str
    function: str  # module:function of (argv, prog) -> exit status
    text: str


RUN, READ, KNOW, DEVELOP = "run", "look at results", "what there is", "for developers"
COMMANDS = (
    Command(RUN, "compare", "vpp_benchmarks.cli.compare:main", "play policies over a market month, write the report"),
    Command(RUN, "bounds", "vpp_benchmarks.cli.bounds:main", "ceilings of a month that no policy can exceed, proven"),
    Command(RUN, "demo", "vpp_benchmarks.cli.demo:main", "one optimizer call and six hours, in a few seconds"),
    Command(
        RUN, "sensitivity", "vpp_benchmarks.cli.sensitivity:main", "does the order of policies hang on assumed values"
    ),
    Command(RUN, "crossplay", "vpp_benchmarks.cli.crossplay:main", "aggregators against owners who hold out or lie"),
    Command(RUN, "train", "vpp_benchmarks.cli.train:main", "train a policy in minutes, on one core"),
    Command(RUN, "dataset", "vpp_benchmarks.cli.dataset:main", "write what policies did, for offline learning"),
    Command(READ, "report", "vpp_benchmarks.cli.report:main", "write the report of a results folder again"),
    Command(READ, "dashboard", "vpp_benchmarks.dashboard.command:main", "look at runs in a browser, live"),
    Command(READ, "leaderboard", "vpp_benchmarks.cli.leaderboard:main", "rank runs by scenario and information"),
    Command(
        READ, "paper", "vpp_benchmarks.cli.paper:main", "LaTeX tables, figures, datasheet and benchmark card of a run"
    ),
    Command(READ, "curves", "vpp_benchmarks.cli.curves:main", "learning curves of training runs, against `truthful`"),
    Command(READ, "transcript", "vpp_benchmarks.cli.transcript:main", "read a negotiation as a conversation"),
    Command(KNOW, "scenario", "vpp_benchmarks.cli.describe:scenario", "every parameter: value, unit, source"),
    Command(KNOW, "agentic", "vpp_benchmarks.cli.agentic:main", "the negotiation's graph drawn, or its steps streamed"),
    Command(KNOW, "traces", "vpp_benchmarks.cli.describe:traces", "how near the generated series are to measured ones"),
    Command(KNOW, "sparsity", "vpp_benchmarks.cli.sparsity:main", "how rarely a home's step earns anything"),
    Command(
        KNOW, "export-homes", "vpp_benchmarks.cli.export_homes:main", "write a month's homes, to edit and bring back"
    ),
    Command(DEVELOP, "speed", "vpp_benchmarks.speed.physics:main", "speed of environment and optimizers, as ratios"),
    Command(DEVELOP, "coverage", "vpp_benchmarks.cli.coverage:main", "how often intervals hold the truth, simulated"),
    Command(DEVELOP, "tune-constant", "vpp_benchmarks.cli.tune_constant:main", "find the best constant bid"),
    Command(DEVELOP, "fit-prices", "vpp_benchmarks.cli.fit_prices:main", "learn the price model of `stochastic`"),
    Command(DEVELOP, "fit-evenings", "vpp_benchmarks.cli.fit_evenings:main", "learn what evenings give, for `fleet`"),
    Command(DEVELOP, "forecasts", "vpp_benchmarks.cli.forecasts:main", "score forecasts of prices against what came"),
    Command(DEVELOP, "cassette", "vpp_benchmarks.llm.cassette:main", "record answers of a language model for replay"),
    Command(
        DEVELOP, "attack-talk", "vpp_benchmarks.llm.injection:main", "hostile owners against a negotiator in words"
    ),
    Command(DEVELOP, "evaluate-readers", "vpp_benchmarks.llm.evaluate:main", "are owners understood; attacks on it"),
)

EXAMPLES = """examples:
  vpp-env demo
  vpp-env compare --policies agentic centralized
  vpp-env compare --list
  vpp-env compare --policies my_module:MyPolicy truthful --scenario week20 --seeds 0:3
  vpp-env leaderboard results/
  vpp-env scenario august

`vpp-env COMMAND --help` has the options and examples of each.
Exit status: 0 done; 1 a policy failed; 2 what was asked for is not possible; 130 interrupted."""


def help_text() -> str:
    """Return the help: commands by group, and examples."""
    lines = ["usage: vpp-env [--help | --version] COMMAND ...", ""]
    lines += ["A virtual power plant's market month: an environment and benchmark for coordinating homes.", ""]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines += [f"{group}:", *(f"  {c.name:<17} {c.text}" for c in COMMANDS if c.group == group), ""]
    return "\n".join([*lines, EXAMPLES])


def call(command: Command, argv: Sequence[str], prog: str) -> int:
    """Import a command and run it; a package that is missing is said in one line, and a slow start is too."""
    loaded = Event()
    if command.name in SLOW and "--quiet" not in argv:
        Thread(target=_tell, args=(prog, SLOW[command.name], loaded), daemon=True).start()
    try:
        from vpp_env.errors import MissingExtraError, needs  # loads the environment, which takes a second

        module, _, function = command.function.partition(":")
        try:
            with needs(prog):
                main = getattr(import_module(module), function)
        except MissingExtraError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    finally:
        loaded.set()
    return int(main(argv, prog))


def _tell(prog: str, what: str, loaded: Event) -> None:
    """Say that packages are being loaded, and again every `AGAIN_SECONDS` until they are."""
    wait = SLOW_SECONDS
    while not loaded.wait(wait):
        print(f"{prog}: {what}", file=sys.stderr, flush=True)
        wait = AGAIN_SECONDS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    name, *rest = list(sys.argv[1:] if argv is None else argv) or [""]
    if name in ("--help", "-h", "help", ""):
        print(help_text(), file=sys.stdout if name else sys.stderr)
        return 0 if name else 2
    if name in ("--version", "-V"):
        from importlib.metadata import version

        print(f"vpp-env {version('vpp-env')}")
        return 0
    command = next((c for c in COMMANDS if c.name == name), None)
    if command is None:
        from vpp_env.errors import did_you_mean

        remedy = "`vpp-env --help` says what each one does."
        print(f"error: {did_you_mean(name, [c.name for c in COMMANDS], 'command', remedy)}", file=sys.stderr)
        return 2
    try:
        return call(command, rest, f"vpp-env {name}")
    except KeyboardInterrupt:  # while packages are loaded; commands answer their own
        print("interrupted", file=sys.stderr)
        return 130


def script() -> int:
    """Run the installed command: a policy `my_module:MyPolicy` is searched for in the working directory first."""
    sys.path.insert(0, os.getcwd())
    end_at_once()
    return main()


def end_at_once() -> None:
    """End this process without a search for garbage: where a compiler is loaded it takes most of a second."""
    atexit.register(gc.freeze)
