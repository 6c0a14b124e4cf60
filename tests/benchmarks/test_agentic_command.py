"""`vpp-env agentic`: the graph drawn, and its steps as they come."""

from __future__ import annotations

import pytest
from support import month
from vpp_benchmarks.cli.agentic import Streamed, Watched, main
from vpp_policies.agentic import agentic

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate

LLM = "agentic(brain='llm', llm='scripted')"


def test_the_graph_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--draw"]) == 0
    mermaid = capsys.readouterr().out
    assert mermaid.startswith("---\nconfig")
    assert "graph TD" in mermaid
    nodes = ("announce", "collect_bids", "offers", "answers", "dispatch", "bid")
    assert all(node in mermaid for node in nodes)
    assert "hear" not in mermaid
    assert main(["--draw", "text", "--policy", LLM]) == 0
    text = capsys.readouterr().out
    assert "hear             -> announce" in text
    assert "bid              -> end" in text
    assert "bid (below the minimum bid) or dispatch (at least the minimum bid)" in text


def test_steps_are_streamed_and_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stream", "--hours", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("announce" in line for line in lines) == sum("-> " in line for line in lines) == 2
    assert any("dispatch" in line or "form_coalition" in line for line in lines)
    plain = simulate(month("quick", {}), make_policy(LLM))
    streamed = simulate(month("quick", {}), Watched(make_policy(LLM)))
    assert "hear" in capsys.readouterr().out
    assert (plain.record.totals == streamed.record.totals).all()
    assert plain.record.transcripts == streamed.record.transcripts


def test_a_step_has_its_node_and_what_it_wrote() -> None:
    said: list[tuple[str, list[str]]] = []
    policy = agentic()
    world = month("quick", {})
    reset = policy.reset

    def watched(*args: object) -> None:
        reset(*args)  # type: ignore[arg-type]
        policy.graph = Streamed(policy.graph, lambda node, channels, _: said.append((node, channels)))  # type: ignore[assignment]

    policy.reset = watched  # type: ignore[method-assign]
    simulate(world, policy)
    assert ("announce", ["negotiation"]) in said
    assert said[-1] == ("bid", ["bids"])


def test_what_has_no_graph_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--draw", "--policy", "truthful"]) == 2
    assert "has no graph" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])
