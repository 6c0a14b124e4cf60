"""Whatever a server sends: in time, in memory, in the ledger, and counted; for every client alike."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import month
from vpp_policies.agentic import agentic
from vpp_policies.llm import LlmOptions, open_stack
from vpp_policies.llm.chat import (
    ChatError,
    CutOff,
    Denied,
    Malformed,
    Permanent,
    Refused,
    Transient,
    Usage,
    failure,
    read,
)
from vpp_policies.llm.ledger import Decider, Ledger, Price
from vpp_policies.llm.openai_compatible import OpenAICompatible, said
from vpp_policies.llm.received import ODD, counted, retry_after_s, tidy
from vpp_policies.llm.wrappers import Breaker, Metered, Retry

from tests.llm.forms import GOOD, SYSTEM, Says
from tests.llm.forms import Form as Cents
from tests.llm.forms import ask as ask_cents
from tests.llm.server import FAULTS, SHAPES, bomb, serve
from tests.llm.test_http import CLIENTS, KEY, Client, Form, ask, openai
from vpp_env.evaluation.simulate import simulate


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("step", ["drip", "drip headers", "slow"])
def test_the_whole_call_ends_in_time(client: Client, step: str) -> None:
    with serve(step) as (address, _):
        model = client(address)
        begin = time.perf_counter()
        with pytest.raises(Transient) as caught:
            ask(model, 0.4)
    assert time.perf_counter() - begin < 2.5  # the ended library's second of grace, and a busy machine
    assert caught.value.maybe_billed


@pytest.mark.parametrize("client", CLIENTS[:2])
@pytest.mark.parametrize("step", ["bomb", "huge", "coded"])
def test_a_body_is_read_up_to_its_limit(client: Client, step: str) -> None:
    with serve(step) as (address, _):
        model = client(address)
        bomb()  # made before memory is counted
        tracemalloc.start()
        with pytest.raises(Transient, match="the body"):
            ask(model, 10.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 30 * 2**20


@pytest.mark.parametrize("client", CLIENTS[:2])
def test_what_is_compressed_within_the_limit_is_read(client: Client) -> None:
    with serve("zipped") as (address, script):
        assert ask(client(address)).value == Form(kwh=3, cents=12)
    assert {k.lower(): v for k, v in script.headers[0].items()}["accept-encoding"] == "identity"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("step", ["deep", *["shapes"] * len(SHAPES), "surrogate", "no text", "429 nan", "503 -1e999"])
def test_an_odd_body_or_header_is_an_error_of_ours(client: Client, step: str) -> None:
    with serve(step) as (address, _), pytest.raises(ChatError):
        ask(client(address))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "step",
    [
        "big header",
        "many headers",
        "length abc",
        "length -5",
        "length 99999999999999999999",
        "chunks",
        "no HTTP",
        "empty",
    ],
)
def test_a_protocol_that_is_broken_may_work_later(client: Client, step: str) -> None:
    with serve(step) as (address, _), pytest.raises(Transient):
        ask(client(address), 2.0)


@pytest.mark.parametrize("client", CLIENTS[:2])
def test_a_key_does_not_follow_a_redirect(client: Client) -> None:
    with serve("redirect") as (address, script), pytest.raises(Denied, match="HTTP 302"):
        ask(client(address))
    assert script.calls == 1


def test_gemini_is_told_its_thoughts_and_no_temperature_where_it_takes_none() -> None:
    pytest.importorskip("google.genai")
    with serve("good") as (address, script), pytest.MonkeyPatch.context() as patch:
        script.answer = GOOD
        patch.setenv("GOOGLE_API_KEY", KEY)
        for model, thinking in (("", None), ("gemini-3.5-flash-lite", 512)):
            options = LlmOptions("gemini", model=model, base_url=f"http://{address}", thinking=thinking)
            assert ask_cents(open_stack(options).model).value == Cents(cents=5)
    plain, thinks = (body["generationConfig"] for body in script.bodies)
    assert plain["temperature"] == 0
    assert "thinkingConfig" not in plain
    assert "temperature" not in thinks
    assert list(thinks["thinkingConfig"].values()) == [512]
    assert thinks["maxOutputTokens"] == 50 + 512


@pytest.mark.parametrize("client", CLIENTS)
def test_every_odd_shape_is_an_error_of_ours(client: Client) -> None:
    with serve("shapes") as (address, script):
        model = client(address)
        for _ in SHAPES:
            with pytest.raises(ChatError):
                ask(model)
    assert script.calls == len(SHAPES)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_that_was_cut_off_is_a_class_of_its_own(client: Client) -> None:
    with serve("cut off") as (address, script):
        ledger = Ledger(Price(1.0, 1.0))
        with pytest.raises(CutOff, match="thinking=") as caught:
            ask(client(address))
        assert caught.value.usage == Usage(120, 30)
        metered = Retry(Metered(client(address), ledger), ledger, 3, lambda _: None)
        assert Decider(ledger, 5.0).ask(metered, SYSTEM, "x", Form, 100) is None
    assert script.calls == 2  # the same limit would cut it off again: it is not repaired
    assert {k: v for k, v in ledger.events.items() if v} == {"cut_off": 1}
    assert ledger.usage == Usage(120, 30)
    # whole in spite of what the server says
    assert read(Form, '{"kwh": 1, "cents": 2}', Usage(), "m", cut=True).value == Form(kwh=1, cents=2)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("odd", ["negative", "null", "nan", "huge", "text", "list"])
def test_no_usage_moves_the_ledger_backwards_or_beyond_reason(client: Client, odd: str) -> None:
    ledger = Ledger(Price(100.0, 100.0))
    with serve(f"usage {odd}") as (address, _):
        Decider(ledger, 5.0).ask(Metered(client(address), ledger), SYSTEM, "three kWh at 12 cents", Form, 100)
    assert math.isfinite(ledger.usd)
    assert 0 <= ledger.usage.tokens_in <= 2000
    assert 0 <= ledger.usage.tokens_out <= 100
    assert ledger.usd == pytest.approx(ledger.price.usd(ledger.usage))


def test_odd_usage_of_any_model_is_replaced_and_counted() -> None:
    for usage in (Usage(-1, 5), Usage(5, -1), Usage(10**12, 1), Usage(1, 10**12), Usage(ODD, ODD)):
        ledger = Ledger(Price(1000.0, 1000.0))
        reply = ask_cents(Metered(Says(GOOD, usage=usage), ledger))
        assert reply.usage == ledger.usage
        assert 0 <= reply.usage.tokens_in < 2000
        assert 0 <= reply.usage.tokens_out <= 50
        assert ledger.events["odd_usage"] == 1
    assert counted(None, 7) == 7
    assert [counted(v, 7) for v in (True, "9", [1], float("inf"), float("nan"), -3)] == [ODD] * 6
    assert counted(9.0, 7) == 9


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refusal_has_the_servers_words_and_no_key(client: Client) -> None:
    with serve("denied") as (address, _), pytest.raises(Denied) as caught:
        ask(client(address))
    assert "may not use this model" in str(caught.value)
    assert "[key]" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("refuses", [("temperature",), ("max_tokens",), ("temperature", "max_tokens")])
def test_what_a_reasoning_model_refuses_is_learnt_once(refuses: tuple[str, ...]) -> None:
    with serve("good") as (address, script):
        script.refuses, script.answer = refuses, GOOD
        options = LlmOptions("openai", base_url=f"http://{address}/v1", thinking=2000, attempts=1)
        stack = open_stack(options)
        for _ in range(3):
            assert ask_cents(stack.model, "x").text == GOOD
        assert script.calls == stack.ledger.calls == 3 + len(refuses)
        assert stack.ledger.events["adapted"] == len(refuses)
        last = script.bodies[-1]
        assert not set(refuses) & last.keys()
        assert last.get("max_completion_tokens", last.get("max_tokens")) == 50 + 2000
        # known before: nothing has to be learnt
        known = OpenAICompatible("m", f"http://{address}/v1", None, refuses)
        ask_cents(known)
        assert script.calls == 4 + len(refuses)


def test_gemini_learns_too() -> None:
    pytest.importorskip("google.genai")
    with serve("good") as (address, script), pytest.MonkeyPatch.context() as patch:
        script.answer, script.refuses = GOOD, ("temperature",)
        patch.setenv("GEMINI_API_KEY", KEY)
        stack = open_stack(LlmOptions("gemini", base_url=f"http://{address}", attempts=1))
        assert ask_cents(stack.model).text == ask_cents(stack.model).text == GOOD
    assert (script.calls, stack.ledger.events["adapted"]) == (3, 1)


def test_a_quota_that_is_used_up_is_no_rate_limit() -> None:
    with serve("raw") as (address, script):
        words = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
        script.raw = 429, json.dumps(words).encode()
        with pytest.raises(Denied, match="current quota"):
            ask(openai(address))


def test_a_refused_effort_or_form_is_left_out_and_a_senseless_refusal_is_final() -> None:
    with serve("good") as (address, script):
        script.answer, script.refuses = GOOD, ("reasoning_effort",)
        model = OpenAICompatible("m", f"http://{address}/v1", None, (), "low")
        ask_cents(Retry(Metered(model, Ledger()), Ledger()))
        assert [b.get("reasoning_effort") for b in script.bodies] == ["low", None]
    with serve("400") as (address, script):
        # its words name nothing that could be left out
        with pytest.raises(Denied):
            ask_cents(Retry(Metered(OpenAICompatible("m", f"http://{address}/v1"), Ledger()), Ledger()))
        assert script.calls == 1
    with serve("good") as (address, script):
        script.answer, script.refuses = GOOD, ("response_format",)
        # also the plain form is refused: no third try
        with pytest.raises(Denied):
            ask_cents(Retry(Metered(OpenAICompatible("m", f"http://{address}/v1"), Ledger()), Ledger()))
        assert [b["response_format"]["type"] for b in script.bodies] == ["json_schema", "json_object"]
        assert '"cents"' in script.bodies[1]["messages"][0]["content"]


def test_a_month_ends_whatever_the_server_does_and_all_is_counted() -> None:
    """Every fault in turn, through a whole month: no crash, no hang, a bill that adds up."""
    played = month("quick", {"time.duration_hours": 12})
    plain = simulate(played, agentic(transcript="none")).record.opportunities()
    with serve(*FAULTS) as (address, script), pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpp_policies.llm.wrappers.FIRST_WAIT_S", 0.001)
        patch.setattr("vpp_policies.llm.stack.Breaker", patient)
        options: dict[str, Any] = {"base_url": f"http://{address}/v1", "attempts": 3, "timeout_s": 0.3}
        run = simulate(played, agentic(brain="llm", llm="openai", transcript="none", **options))
    assert run.complete
    table = run.record.opportunities()
    assert script.calls >= len(FAULTS)
    assert table["notes_llm_calls"].sum() == script.calls
    decided = table["notes_llm_by_fallback"].sum() + table["notes_llm_by_model"].sum()
    assert decided == played.fleet.n + len(table)
    assert table["notes_llm_by_model"].sum() == 0  # no answer of this server fits a schema of the negotiation
    events = ("transient", "permanent", "blocked", "cut_off", "malformed", "retried")
    assert all(table[f"notes_llm_{e}"].sum() > 0 for e in events)
    notes = table[[c for c in table if c.startswith("notes_llm_")]]
    assert (notes.to_numpy() >= 0).all()  # and no NaN among them
    assert table["actual_profit"].sum() == pytest.approx(plain["actual_profit"].sum(), abs=1e-9)


def patient(inner: Any, stops: bool) -> Breaker:
    """A breaker that never opens, so that every fault of the script comes to pass."""
    return Breaker(inner, threshold=10**6, stops=stops)


def test_a_run_ends_at_the_first_refusal_unless_rules_take_over() -> None:
    played = month("quick", {})
    with serve("denied") as (address, script):
        url = f"http://{address}/v1"
        with pytest.raises(Refused, match=r"HTTP 403: the key .* may not use this model.*--llm-fallback rules"):
            simulate(played, agentic(brain="llm", llm="openai", base_url=url, concurrency=32))
        assert script.calls == 1
        run = simulate(played, agentic(brain="llm", llm="openai", base_url=url, fallback="rules"))
        assert run.complete
        assert run.record.opportunities()["notes_llm_by_model"].sum() == 0


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A good answer of either protocol with any part of it replaced by anything, or left out."""
    message = {"role": "assistant", "content": '{"kwh": 3, "cents": 12}', "refusal": None}
    openai = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 3, "completion_tokens": 4}}  # fmt: skip
    parts = [{"text": '{"kwh": 3, "cents": 12}'}]
    gemini = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
              "modelVersion": "m", "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}  # fmt: skip
    good: Any = {**openai, **gemini, "error": draw(st.none() | ANYTHING)}
    for _ in range(draw(st.integers(1, 3))):
        node = good
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw(st.sampled_from(keys))
            inner = node[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                node[key] = draw(ANYTHING)
                break
            node = inner
    return good


WORDS = st.text(max_size=20) | st.sampled_from(["SAFETY", "length", "MAX_TOKENS", "temperature", "content_filter"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("client", CLIENTS[:2])
def test_any_body_is_an_answer_or_an_error_of_ours(client: Client) -> None:
    """Mutated answers of both protocols, with any status: the ledger stays finite and never falls."""
    with serve("raw") as (address, script):
        model = client(address)

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies(), st.sampled_from([200, 200, 200, 400, 401, 418, 429, 500, 599]), st.binary(max_size=3))
        def play(body: Any, status: int, tail: bytes) -> None:
            script.raw = status, json.dumps(body).encode() + tail
            ledger = Ledger(Price(1.0, 1.0))
            Decider(ledger, 5.0).ask(Metered(model, ledger), SYSTEM, "x", Form, 100)
            assert ledger.calls == 1
            assert 0.0 <= ledger.usd < 0.1
            assert sum(ledger.decisions.values()) == 1

        play()
    assert script.calls >= 150


def test_statuses_have_their_classes() -> None:
    later = [c for c in range(600) if isinstance(failure("p", c), Transient)]
    assert later == [*range(300), 408, 409, 425, 429, *range(500, 600)]
    assert all(isinstance(failure("p", c), Denied) for c in (301, 400, 401, 402, 403, 404, 413, 422))


def test_words_of_strangers_are_tidied() -> None:
    assert tidy("a\x1b[2J\nb\u202ec") == "a [2J b c"
    assert tidy("Incorrect API key provided: sk-abcdefgh12345678. See x").endswith("provided: [key] See x")
    for words in ("Bearer abcdefghijkl", "AIzaSyA1234567890", "key=verysecretkey1"):
        assert words.split("=")[-1].split()[-1] not in tidy(words)
    assert "hunter" not in tidy("your key hunter2 is bad", secret="hunter2")
    assert len(tidy("x" * 10**6)) == 300
    assert said({"error": "no such model"}) == ("no such model", "")
    assert said({"error": {"message": "m", "code": "content_filter"}}) == ("m", "content_filter")
    assert said({"detail": "not found"}) == ("not found", "")
    assert [said(x)[0] for x in (None, [], 3)] == ["", "", "3"]


def test_odd_texts_and_headers() -> None:
    with pytest.raises(Malformed) as caught:
        read(Cents, json.dumps({"cents": 1, "parts": [], "x": "y" * 300_000}), Usage(), "m")
    assert len(caught.value.text) == 200_000
    reply = read(Cents, GOOD, Usage(), "evil\x1b]0;\u202e" + "m" * 500)
    assert len(reply.model) == 100
    assert "\x1b" not in reply.model
    for header in ("nan", "soon", "Mon, 99 Foo 99999", "Mon, 01 Jan 2026 00:00:00 +99999999"):
        assert retry_after_s(header) is None
    assert retry_after_s("-5") == 0.0
    assert retry_after_s("1e999") == math.inf
    with pytest.raises(Permanent):
        ask_cents(Metered(Says(CutOff("x", "", Usage(1, 2), "m")), Ledger()))
