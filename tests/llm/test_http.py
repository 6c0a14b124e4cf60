"""The three clients over HTTP against a local server: same calls, same error classes, no hidden retries."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from itertools import pairwise

import pytest
from pydantic import BaseModel, ConfigDict
from vpp_policies.llm import LlmOptions, open_stack
from vpp_policies.llm.chat import Blocked, ChatError, ChatModel, Denied, Malformed, Reply, Transient, whole
from vpp_policies.llm.ledger import Decider, Ledger, Price
from vpp_policies.llm.openai_compatible import OpenAICompatible
from vpp_policies.llm.wrappers import Metered, Repair, Retry

from tests.llm.server import serve

KEY = "not-a-real-key-123"
HAS_GENAI = importlib.util.find_spec("google.genai") is not None if importlib.util.find_spec("google") else False
HAS_LEGACY = (
    importlib.util.find_spec("google.generativeai") is not None if importlib.util.find_spec("google") else False
)


class Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    kwh: int = whole(0, 10, "energy")
    cents: int = whole(0, 50, "price")


def openai(address: str) -> ChatModel:
    return OpenAICompatible("some-model", f"http://{address}/v1", KEY)


def gemini(address: str) -> ChatModel:
    from vpp_policies.llm.gemini import Gemini

    return Gemini("some-model", KEY, f"http://{address}")


def legacy(address: str) -> ChatModel:
    from vpp_policies.llm.gemini_legacy import GeminiLegacy

    return GeminiLegacy("some-model", KEY, f"http://{address}")


CLIENTS = [
    pytest.param(openai, id="openai"),
    pytest.param(gemini, id="gemini", marks=pytest.mark.skipif(not HAS_GENAI, reason='pip install "vpp-env[gemini]"')),
    pytest.param(
        legacy,
        id="gemini_legacy",
        marks=[
            pytest.mark.skipif(not HAS_LEGACY, reason='pip install "vpp-env[gemini-legacy]" (support has ended)'),
            pytest.mark.filterwarnings("ignore::FutureWarning"),
            pytest.mark.filterwarnings("ignore::DeprecationWarning"),
        ],
    ),
]
Client = Callable[[str], ChatModel]


def ask(model: ChatModel, timeout_s: float = 5.0) -> Reply:
    return model.complete("# form v1\n\nFill in.", "three kWh at 12 cents", Form, 100, timeout_s)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_good_answer(client: Client) -> None:
    with serve("good") as (address, script):
        reply = ask(client(address))
    assert reply.value == Form(kwh=3, cents=12)
    assert (reply.usage.tokens_in, reply.usage.tokens_out) == (120, 30)
    assert script.calls == 1
    sent = str(script.bodies[0])
    assert "three kWh" in sent
    assert "Fill in" in sent
    # all integers, all required, in whatever form the protocol has
    assert "required" in sent
    # the key is in a header and never in the address
    assert KEY not in script.paths[0]
    assert KEY in str(script.headers[0])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("step", "error", "billed"),
    [
        ("500", Transient, False),
        ("503", Transient, False),
        ("429 7", Transient, False),
        ("garbage", Transient, True),
        ("cut", Transient, True),
        ("slow", Transient, True),
        ("wrong", Malformed, None),
        ("blocked", Blocked, None),
        ("denied", Denied, None),
    ],
)
def test_one_request_and_one_class_of_error(
    client: Client, step: str, error: type[ChatError], billed: bool | None
) -> None:
    with serve(step) as (address, script):
        model = client(address)
        with pytest.raises(ChatError) as caught:
            ask(model, 0.3 if step == "slow" else 5.0)
        assert type(caught.value) is error
        assert script.calls == 1
    assert KEY not in str(caught.value)
    if isinstance(caught.value, Transient):
        assert caught.value.retry_after == (7.0 if step == "429 7" else None)
        assert caught.value.maybe_billed is billed


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_there_is_transient(client: Client) -> None:
    with serve("good") as (address, _):
        pass
    with pytest.raises(Transient):
        ask(client(address), 1.0)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("steps", "calls", "waits", "events", "source"),
    [
        (["good"], 1, [], {}, "model"),
        (["429 7", "good"], 2, [7.0], {"retried": 1}, "model"),
        (["500", "good"], 2, [1.0], {"retried": 1}, "model"),
        (["500"], 3, [1.0, 2.0], {"retried": 2, "transient": 1}, "fallback"),
        (["429 3600"], 1, [], {"transient": 1}, "fallback"),
        (["garbage", "cut", "good"], 3, [1.0, 2.0], {"retried": 2}, "model"),
        (["wrong", "good"], 2, [], {"malformed": 1, "repaired": 1}, "model"),
        (["wrong"], 2, [], {"malformed": 2}, "fallback"),
        (["blocked"], 1, [], {"blocked": 1}, "fallback"),
        (["denied"], 1, [], {"permanent": 1}, "fallback"),
    ],
)
def test_the_wrappers_make_the_same_of_every_client(
    client: Client, steps: list[str], calls: int, waits: list[float], events: dict[str, int], source: str
) -> None:
    ledger, slept = Ledger(Price(0.1, 0.4)), list[float]()
    with serve(*steps) as (address, script):
        retry = Retry(Metered(client(address), ledger), ledger, attempts=3, sleep=slept.append)
        answer = Decider(ledger, 5.0).ask(Repair(retry, ledger), "# form v1\n\nFill in.", "x", Form, 100)
    assert (answer is not None) == (source == "model")
    assert script.calls == ledger.calls == calls
    assert slept == waits
    assert {k: v for k, v in ledger.events.items() if v} == events
    assert dict(ledger.decisions) == {source: 1}
    assert all(earlier <= later for earlier, later in pairwise(slept))


def test_a_month_goes_on_whatever_the_server_does(caplog: pytest.LogCaptureFixture) -> None:
    """No run crashes: every kind of trouble in turn, and the key in no log."""
    from vpp_policies.agentic import agentic

    from vpp_env.evaluation.simulate import simulate
    from vpp_env.scenario import load_scenario
    from vpp_env.simulation.month import Month

    month = Month(load_scenario("quick"), 0)
    plain = simulate(month, agentic()).record.opportunities()
    steps = ("blocked", "wrong", "cut", "denied", "garbage", "500", "good")
    with serve(*steps) as (address, script), caplog.at_level(logging.DEBUG), pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        options = {"base_url": f"http://{address}/v1", "attempts": 1, "timeout_s": 5.0, "fallback": "rules"}
        policy = agentic(brain="llm", llm="openai", **options)
        run = simulate(month, policy)
    assert run.complete
    table = run.record.opportunities()
    assert table["notes_llm_calls"].sum() == script.calls > len(steps)
    # no answer of this server fits the negotiation's schemas: rules decided everything, and it says so
    assert table["notes_llm_by_fallback"].sum() == 5 + len(table)
    assert table["notes_llm_by_model"].sum() == 0
    assert table["actual_profit"].sum() == pytest.approx(plain["actual_profit"].sum(), abs=1e-9)
    assert KEY not in caplog.text
    assert KEY not in str(run.record.transcripts)


def test_what_is_missing_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    from vpp_env.errors import MissingExtraError

    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith(("google", "httpx")):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    for llm, extra in (("gemini", "gemini"), ("gemini_legacy", "gemini-legacy"), ("openai", "llm")):
        with pytest.raises(MissingExtraError, match=rf"pip install \"vpp-env\[{extra}\]\""):
            open_stack(LlmOptions(llm))
