"""The negotiation's graph, as users of LangGraph know it: `vpp-env agentic --draw`, and its steps as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vpp_benchmarks.cli.common import Parser, command
from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import MarketRules, Policy, make_policy
from vpp_env.contract.views import View
from vpp_env.errors import PolicyError
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World

EXAMPLES = (
    "--draw",
    "--draw text --policy \"agentic(brain='llm', llm='scripted')\"",
    "--stream --scenario week20 --hours 24",
)
FORMS = ("mermaid", "text")


def parser(prog: str = "vpp-env agentic") -> Parser:
    """Return the command line."""
    p = Parser(prog, "Draw the graph of a negotiation, or watch its nodes at work.", EXAMPLES)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--draw", nargs="?", const=FORMS[0], choices=FORMS, help="print the graph; default: %(const)s")
    what.add_argument("--stream", action="store_true", help="play, and print every node as it is done")
    p.add_argument("--policy", default="agentic", metavar="SPEC", help="any policy with a graph; default: %(default)s")
    p.add_argument("--scenario", default="quick", metavar="NAME|FILE.toml", help="default: %(default)s")
    p.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    p.add_argument("--hours", type=int, metavar="H", help="hours that are played; default: the whole scenario")
    return p


class Streamed:
    """A compiled graph that tells every step of an `invoke`: LangGraph's `stream` with the result of its `invoke`.

    Parameters
    ----------
    graph : CompiledStateGraph
        What is run.
    say : callable
        Takes the node, the channels that it wrote, and its seconds.
    """

    def __init__(self, graph: Any, say: Callable[[str, list[str], float], None]) -> None:
        self.graph, self._say = graph, say

    def invoke(self, channels: Any, config: Any = None) -> Any:
        """Run the graph once."""
        final, begin = None, time.perf_counter()
        for mode, chunk in self.graph.stream(channels, config, stream_mode=["updates", "values"]):
            if mode == "values":
                final = chunk
                continue
            now = time.perf_counter()
            for node, written in chunk.items():
                self._say(node, sorted(written or {}), now - begin)
            begin = now
        return final


class Watched:
    """A policy with a graph, whose steps are printed."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.info = policy, policy.info

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month, and take the place of its graph."""
        self.policy.reset(rules, rng)
        holder: Any = self.policy
        holder.graph = Streamed(graph_of(self.policy), self._say)

    def act(self, view: View) -> Bids:
        """Bid, and say the hour before and the bid after."""
        print(f"{view.public.start:%a %Y-%m-%d %H:%M}")
        bids = self.policy.act(view)
        inside = "every" if bids.accepted is None else str(int(np.count_nonzero(bids.accepted)))
        print(f"  -> {inside} of {len(bids.actions)} homes in the bid", flush=True)
        return bids

    @staticmethod
    def _say(node: str, channels: list[str], seconds: float) -> None:
        print(f"  {node:<16} {1000 * seconds:8.1f} ms  {', '.join(channels)}", flush=True)


def graph_of(policy: Policy) -> Any:
    """Return the compiled graph of a policy that has begun a month.

    Raises
    ------
    PolicyError
        When it has none.
    """
    graph = getattr(policy, "graph", None)
    if not callable(getattr(graph, "get_graph", None)):
        raise PolicyError(f"{policy.info.name!r} has no graph; allowed is a policy such as agentic")
    return graph


def drawn(graph: Any, form: str) -> str:
    """Return the graph as text: Mermaid, as documents and editors show it, or a line per node.

    Parameters
    ----------
    graph : CompiledStateGraph
        What is drawn.
    form : str
        One of `FORMS`.
    """
    shape = graph.get_graph()
    if form == "mermaid":
        return str(shape.draw_mermaid())
    lines = []
    for node in shape.nodes:
        edges = [e for e in shape.edges if e.source == node]
        choice = " or ".join(e.target.strip("_") + (f" ({e.data})" if e.data else "") for e in edges)
        if edges:
            lines.append(f"{node.strip('_'):<16} -> {choice}")
    return "\n".join(lines)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line."""
    args = parser(prog).parse_args(argv)
    scenario = load_scenario(args.scenario)
    if args.hours is not None:
        scenario = scenario.override({"time.duration_hours": args.hours})
    policy, month = make_policy(args.policy), Month(scenario, args.seed)
    if args.draw:
        policy.reset(market_rules(World([month])), month.policy_rng())
        print(drawn(graph_of(policy), args.draw))
        return 0
    run = simulate(month, Watched(policy))
    return 0 if run.complete else 130
