"""A model speaks for owners: one question each, the same bytes at any concurrency, and no fault ends a month."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support import begin, month
from vpp_policies.agentic import agentic
from vpp_policies.agentic.conversation import Turn
from vpp_policies.agentic.messages import Said, parse
from vpp_policies.llm.owner import UNITS, ModelSpeaker, OwnerTurn
from vpp_policies.llm.scripted import Scripted

from tests.llm.server import FAULTS, serve
from vpp_env.contract.speech import SPOKEN
from vpp_env.evaluation.simulate import Run, market_rules, simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

SPEAKER = "vpp_policies.llm.owner:speaker"
HOURS = 1


def program(body: dict[str, Any]) -> str:
    """What the scripted program would say to a request."""
    system, user = (m["content"] for m in body["messages"])
    schema = OwnerTurn if "# owner" in system.split("\n", 1)[0] else Turn
    return Scripted().complete(system, user, schema, 500, 5.0).text


def played(address: str, hours: int = HOURS, concurrency: int = 4, talk: int = 6, **options: Any) -> tuple[Run, World]:
    """Both sides are models at one server; returns the run and its world."""
    url = f"http://{address}/v1"
    brain = f"llm('{SPEAKER}', llm='openai', base_url={url!r}, concurrency={concurrency}, timeout_s=5.0, attempts=1)"
    given = {"without": "cards,strategy", "timeout_s": 5.0, "attempts": 1} | options
    policy = agentic(brain="llm", llm="openai", base_url=url, concurrency=concurrency, talk=talk, **given)
    changes = {"time.duration_hours": hours, "owners.brains": ((brain, 1.0),)}
    worlds: list[World] = []

    class Watched:
        info = policy.info

        def reset(self, rules: Any, rng: Any) -> None:
            policy.reset(rules, rng)

        def act(self, view: Any) -> Any:
            worlds[:] = [view.owners._now()]
            return policy.act(view)

    return simulate(month("week20", changes), Watched()), worlds[0]


def lines(run: Run) -> list[Said]:
    return [m for m in map(parse, run.record.transcripts) if isinstance(m, Said)]


def test_two_models_talk_and_are_the_same_at_any_concurrency() -> None:
    seen = {}
    for concurrency in (1, 32):
        with serve("good", says=program) as (address, script):
            run, world = played(address, concurrency=concurrency)
        said = lines(run)
        owners = [m for m in said if m.speaker == "owner"]
        assert owners
        assert all(m.text for m in owners)
        assert {m.answer for m in owners} >= {"accepted"}
        speaker = world.table.mixture.brains[0].speaker  # type: ignore[attr-defined]
        assert isinstance(speaker, ModelSpeaker)
        assert speaker.stack.ledger.calls == len(owners)
        questions = [json.loads(b["messages"][1]["content"]) for b in script.bodies if "# owner" in str(b["messages"])]
        assert len(questions) == len(owners)
        seen[concurrency] = [m.model_dump_json() for m in said], run.record.totals.tobytes()
    assert seen[1] == seen[32]


def test_the_form_has_every_price_that_an_owner_may_ask_for() -> None:
    assert set(UNITS) == set(SPOKEN)
    assert {field for field, _ in UNITS.values()} < set(OwnerTurn.model_fields)


@pytest.mark.parametrize("fault", FAULTS[::4])
def test_no_fault_ends_a_conversation(fault: str) -> None:
    """Both models fail alike at every call: the rules and the owners' own claims go on, and all is counted."""
    with serve(fault) as (address, script):
        run, world = played(address, hours=1, talk=2, timeout_s=0.3)
        table = run.record.opportunities()
        assert run.complete
        assert script.calls >= 1
    assert float(table["notes_llm_by_model"].sum()) == 0
    counted = [
        float(table[f"notes_llm_{e}"].sum()) for e in ("transient", "permanent", "blocked", "cut_off", "malformed")
    ]
    # an answer that does not fit counts twice: once more after its repair
    assert sum(counted) + float(table["notes_llm_circuit"].sum()) >= float(table["notes_llm_by_fallback"].sum()) >= 2
    assert not lines(run)
    assert world.table.talk.counts["spoken"] == 0


def test_reasoning_models_talk() -> None:
    """They refuse a temperature, call the limit otherwise, and think aloud before they answer."""

    def thinks(body: dict[str, Any]) -> str:
        return f"<think>Hm. {{}} The owner wants more.</think>\n{program(body)}"

    with serve("good", says=thinks) as (address, script):
        script.refuses = ("temperature", "max_tokens")
        run, _ = played(address, thinking=500)
    assert all("temperature" not in body and "max_tokens" not in body for body in script.bodies[-3:])
    assert {m.text for m in lines(run) if m.speaker == "owner"} >= {"Agreed."}
    assert float(run.record.opportunities()["notes_llm_adapted"].sum()) == 2
    assert float(run.record.opportunities()["notes_llm_by_fallback"].sum()) == 0


def test_an_owners_model_that_fails_leaves_the_owner_its_own_claims() -> None:
    def odd(body: dict[str, Any]) -> str:
        return '{"answer": "yes!"}' if "# owner" in body["messages"][0]["content"] else program(body)

    with serve("good", says=odd) as (address, _):
        run, world = played(address)
    counts = world.table.talk.counts
    assert counts["silent"] == counts["spoken"] > 0
    assert {m.text for m in lines(run) if m.speaker == "owner"} == {""}
    with serve("good", says=program) as (address, _):
        calm, _ = played(address)
    truthful = {m.prosumer_id for m in lines(calm) if m.answer == "accepted"}
    assert {m.prosumer_id for m in lines(run) if m.answer == "accepted"} == truthful


@pytest.mark.slow
def test_an_hour_of_full_talk_of_both_sides_takes_at_most_ten_seconds_a_round() -> None:
    """Two hundred homes are talked to in words by a server that takes a second for each answer."""
    with serve("good", delay_s=1.0, says=program) as (address, script):
        url = f"http://{address}/v1"
        options = {
            "talk_to": tuple(range(200)),
            "tools": 0,
            "without": "cards,strategy",
            "concurrency": 200,
            "max_rounds": 1,
        }
        policy = agentic(brain="llm", llm="openai", base_url=url, **options)
        world = begin(month("august", {"time.duration_hours": 6}))
        policy.reset(market_rules(world), np.random.default_rng(0))
        bids = policy.act(build_view(world, policy.info.information))
    print(f"\nan hour of talk with {script.calls} of {world.n_homes} homes: {bids.notes['llm_seconds']:.1f} s")
    assert script.calls > 100
    assert bids.notes["llm_seconds"] <= 10.0
