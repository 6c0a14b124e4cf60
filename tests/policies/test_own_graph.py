"""Graphs of one's own: from a user's folder, with a checkpointer that resumes in the middle of an hour."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph, StateGraph
from support import begin, month
from vpp_benchmarks.cli.agentic import main as agentic_command
from vpp_policies.agentic import agentic
from vpp_policies.agentic.own_graph import Serde, load_graph
from vpp_policies.agentic.policy import Agentic, Nodes, plan

from vpp_env.contract.bids import Bids
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

HERE = __name__
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_graph.py"
DAY = {"time.duration_hours": 2}
THREAD: Any = {"configurable": {"thread_id": "month 1, opportunity 0"}}


def same(nodes: Nodes) -> StateGraph:  # type: ignore[type-arg]
    """agentic's own."""
    return plan(nodes)


def kept(nodes: Nodes) -> CompiledStateGraph:  # type: ignore[type-arg]
    """agentic's own, with a checkpointer."""
    return plan(nodes).compile(checkpointer=InMemorySaver())


FAILS: list[str] = []
"""Nodes that fail at their next turn."""


def shaky(nodes: Nodes) -> CompiledStateGraph:  # type: ignore[type-arg]
    """Whose nodes fail when they are told to."""

    class Shaky(Nodes):
        def _maybe(self, name: str) -> None:
            if name in FAILS:
                FAILS.remove(name)
                raise ConnectionError(f"{name} is cut off")

        def offers(self, state: Any) -> dict[str, Any]:
            self._maybe("offers")
            return super().offers(state)

        def form_coalition(self, state: Any) -> dict[str, Any]:
            self._maybe("form_coalition")
            return super().form_coalition(state)

        def dispatch(self, state: Any) -> dict[str, Any]:
            self._maybe("dispatch")
            return super().dispatch(state)

    return kept(Shaky(**{f.name: getattr(nodes, f.name) for f in fields(nodes)}))


def silent(nodes: Nodes):  # type: ignore[no-untyped-def]
    raise AssertionError("called")


def other(nodes: Nodes) -> StateGraph:  # type: ignore[type-arg]
    return 3  # type: ignore[return-value]


def table_of(run: Any) -> bytes:
    return bytes(run.record.totals.tobytes())


def test_the_same_graph_comes_to_the_same_month_with_and_without_checkpoints() -> None:
    plain = table_of(simulate(month("week20", DAY), agentic()))
    for name in ("same", "kept"):
        assert table_of(simulate(month("week20", DAY), agentic(graph=f"{HERE}:{name}"))) == plain


def bids_of(world: World, policy: Agentic) -> Bids:
    return policy.act(build_view(world, policy.info.information))


@pytest.mark.parametrize("fails", [["dispatch"], ["form_coalition"], ["offers"], ["offers", "dispatch"]])
def test_an_hour_that_was_cut_off_goes_on_where_it_stopped(fails: list[str]) -> None:
    calm = begin(month("week20", DAY))
    policy = agentic(graph=f"{HERE}:kept")
    policy.reset(market_rules(calm), np.random.default_rng(0))
    expected = bids_of(calm, policy)
    world = begin(month("week20", DAY))
    policy = agentic(graph=f"{HERE}:shaky")
    policy.reset(market_rules(world), np.random.default_rng(0))
    FAILS[:] = fails
    for _ in fails:
        with pytest.raises(ConnectionError, match="cut off"):
            bids_of(world, policy)
    asked = world.table.rounds(0, 0)[0]
    bids = bids_of(world, policy)
    assert not FAILS
    np.testing.assert_array_equal(bids.actions, expected.actions)
    assert bids.transcript == expected.transcript
    # no owner was asked twice
    assert world.table.rounds(0, 0) == calm.table.rounds(0, 0)
    if "offers" not in fails:
        assert asked == calm.table.rounds(0, 0)[0]


def test_the_state_is_plain_data_and_nothing_else_is_read() -> None:
    world = begin(month("week20", DAY))
    policy = agentic(graph=f"{HERE}:kept")
    policy.reset(market_rules(world), np.random.default_rng(0))
    bids_of(world, policy)
    history = list(policy.graph.get_state_history(THREAD))
    assert len(history) >= 8
    values = history[0].values
    kind, data = policy._serde.dumps_typed(values["negotiation"])
    back = Serde().loads_typed((kind, data))
    assert back.notice.opportunity_id == values["negotiation"].notice.opportunity_id
    np.testing.assert_array_equal(back.declared.kw, values["negotiation"].declared.kw)
    # the table is a name in it, and needs to be handed in
    whole = policy._serde.dumps_typed(values)
    assert policy._serde.loads_typed(whole)["table"] is policy._serde.live["table"]
    with pytest.raises(PolicyError, match="handed in"):
        Serde().loads_typed(whole)
    for evil in (os.system, eval, subprocess.Popen):
        with pytest.raises(PolicyError, match="no state of this graph"):
            Serde().loads_typed((kind, pickle.dumps(evil)))
    with pytest.raises(PolicyError, match="of kind"):
        Serde().loads_typed(("msgpack", b""))


def test_an_own_graph_is_streamed_too(capsys: pytest.CaptureFixture[str]) -> None:
    spec = f"agentic(graph='{HERE}:kept')"
    assert agentic_command(["--stream", "--policy", spec, "--hours", "1"]) == 0
    assert "form_coalition" in capsys.readouterr().out


def test_what_is_no_graph_is_not_called() -> None:
    for name, error, words in (
        (f"{HERE}:silent", PolicyError, "was not called"),
        (f"{HERE}:FAILS", PolicyError, "was not called"),
        (f"{HERE}:other", PolicyError, "returned a int"),
        (f"{HERE}:nobody", UnknownNameError, "cannot be imported"),
        ("nowhere:build", UnknownNameError, "cannot be imported"),
    ):
        with pytest.raises(error, match=words):
            load_graph(name, None)


def test_the_example_offers_less_at_first_from_a_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_graph.py").write_text(EXAMPLE.read_text())
    monkeypatch.chdir(tmp_path)
    prices: dict[str, list[float]] = {}
    for graph in ("own_graph.py:build", ""):
        run = simulate(month("week20", {"time.duration_hours": 1}), agentic(graph=graph, transcript="full"))
        assert run.complete
        prices[graph] = [
            price
            for r in run.record.transcripts
            if r["kind"] == "aggregator_offer" and r["round"] == 1
            for price in r["offered_price"]
        ]
    own, usual = np.array(prices["own_graph.py:build"]), np.array(prices[""])
    assert usual.min() > 0.1
    np.testing.assert_allclose(own, 0.9 * usual, atol=1e-4)  # as far as a transcript's digits go


def test_a_node_of_ones_own_stands_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"dispach.*dispatch"):
        plan(None, dispach=silent)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_plays_the_example_from_a_users_folder(tmp_path: Path) -> None:
    (tmp_path / "own_graph.py").write_text(EXAMPLE.read_text())
    command = [sys.executable, "-c", "import sys; from vpp_benchmarks.cli.main import main; sys.exit(main())"]
    command += ["compare", "--policies", "agentic(graph='own_graph:build')", "--scenario", "quick", "--out", "results"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agentic" in done.stdout
