"""Models of other people's libraries: LangChain's, LiteLLM's, and those that are named by module."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from support import month
from vpp_benchmarks.cli.compare import main
from vpp_policies.agentic import agentic
from vpp_policies.llm import LlmOptions, open_stack
from vpp_policies.llm.chat import (
    Blocked,
    ChatError,
    CutOff,
    Denied,
    Malformed,
    Permanent,
    Transient,
    Usage,
)
from vpp_policies.llm.langchain import LangChain
from vpp_policies.llm.ledger import Price
from vpp_policies.llm.litellm_client import LiteLLM
from vpp_policies.llm.settings import load_settings
from vpp_policies.llm.stack import ADAPTERS, adapter_of

from tests.llm.forms import GOOD, SYSTEM, Form, ask
from vpp_env.errors import DataError, MissingExtraError, PolicyError, UnknownNameError
from vpp_env.evaluation.simulate import simulate

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "langchain_model.py"
MORE = """

def make() -> SimpleChatModel:
    return Steady()

def undeclared():
    raise AssertionError("called")

CALLED = []

def wrong() -> int:
    CALLED.append(1)
    return 3

ready = Steady()
number = 3
"""
"""What a user may have in the same file."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "my_models_4711.py").write_text(EXAMPLE.read_text("utf-8") + MORE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_models_4711", raising=False)
    import importlib

    return importlib.import_module("my_models_4711")


class Sees(BaseCallbackHandler):
    """A tracer: what a chat model was asked, under which run."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        text = " | ".join(str(m.content) for m in messages[0])
        self.asked.append((text, kwargs.get("parent_run_id"), kwargs.get("tags")))


class Says(BaseChatModel):
    """Say a message, raise an error, or take its time."""

    message: Any = None
    seconds: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "says"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        time.sleep(self.seconds)
        if isinstance(self.message, Exception):
            raise self.message
        return ChatResult(generations=[ChatGeneration(message=self.message)])


class Forms(Says):
    """One that can be made to answer in a form, by a tool call."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        (tool,) = tools
        assert "cents" in json.dumps(tool)
        return self


def test_a_langchain_model_answers_and_its_words_are_told_the_form() -> None:
    seen = Sees()
    model = LangChain(FakeListChatModel(responses=[GOOD]), callbacks=[seen], price=Price(1.0, 2.0))
    reply = ask(model, "five cents")
    assert reply.value == Form(cents=5)
    assert (model.provider, reply.model) == ("langchain", "FakeListChatModel")
    (text, _, tags) = seen.asked[0]
    assert "five cents" in text
    assert '"cents"' in text
    assert "vpp_env" in tags
    assert adapter_of(LlmOptions(model))[1].price == Price(1.0, 2.0)


def test_a_model_that_calls_tools_answers_in_the_form() -> None:
    call = {"name": "Form", "args": {"cents": 7, "parts": [{"wh": 3}]}, "id": "1", "type": "tool_call"}
    usage = {"input_tokens": 50, "output_tokens": 9, "total_tokens": 59}
    about = {"model_name": "tool-1", "finish_reason": "stop"}
    message = AIMessage("", tool_calls=[call], usage_metadata=usage, response_metadata=about)  # type: ignore[arg-type]
    reply = ask(LangChain(Forms(message=message)))
    assert reply.value == Form(cents=7, parts=({"wh": 3},))  # type: ignore[arg-type]
    assert (reply.usage, reply.model) == (Usage(50, 9), "tool-1")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (AIMessage("I cannot"), Malformed),
        (AIMessage(""), Permanent),
        (AIMessage('{"cents": 1', response_metadata={"finish_reason": "length"}), CutOff),
        (AIMessage("", response_metadata={"stop_reason": "max_tokens"}), CutOff),
        (AIMessage([{"type": "thinking", "thinking": "hm"}]), Permanent),
        (type("AuthenticationError", (Exception,), {"status_code": 401})("no"), Denied),
        (type("RateLimitError", (Exception,), {"status_code": 429})("later"), Transient),
        (type("APIError", (Exception,), {"response": SimpleNamespace(status_code=503, headers={})})("x"), Transient),
        (type("ContentPolicyViolationError", (Exception,), {"status_code": 400})("no"), Blocked),
        (type("APIConnectionError", (Exception,), {})("x"), Transient),
        (AttributeError("'str' object has no attribute 'choices'"), Transient),
    ],
)
def test_what_a_library_raises_becomes_ours(message: Any, error: type[ChatError]) -> None:
    with pytest.raises(ChatError) as caught:
        ask(LangChain(Says(message=message)))
    assert type(caught.value) is error


def test_text_blocks_are_read_and_a_library_is_not_waited_for() -> None:
    blocks = AIMessage([{"type": "reasoning", "text": None}, {"type": "text", "text": GOOD}])
    assert ask(LangChain(Says(message=blocks))).value == Form(cents=5)
    begin = time.perf_counter()
    with pytest.raises(Transient, match=r"no whole answer in 0\.1 s"):
        LangChain(Says(message=AIMessage(GOOD), seconds=5.0)).complete(SYSTEM, "x", Form, 50, 0.1)
    assert time.perf_counter() - begin < 3.0


def test_a_month_with_a_langchain_model_and_a_tracer_sees_its_prompts_under_the_graph(own: ModuleType) -> None:
    seen = Sees()
    policy = agentic(brain="llm", llm=own.ready, concurrency=4)
    reset = policy.reset

    def traced(*args: Any) -> None:
        reset(*args)
        policy.graph = policy.graph.with_config({"callbacks": [seen]})

    policy.reset = traced  # type: ignore[method-assign]
    run = simulate(month("quick", {}), policy)
    table = run.record.opportunities()
    assert table["notes_llm_by_fallback"].sum() == 0
    assert table["notes_llm_by_model"].sum() == len(seen.asked) == 5 + len(table)
    assert table["notes_llm_tokens_in"].sum() > 90 * len(seen.asked)  # it says nothing of tokens: they are estimated
    assert all(parent is not None for _, parent, _ in seen.asked)
    assert sum("statement" in text for text, _, _ in seen.asked) == 5


def test_a_langchain_model_talks_to_owners_from_a_users_folder(own: ModuleType) -> None:
    changes = {"time.duration_hours": 1, "owners.brains": (("persona('plain')", 1.0),)}
    run = simulate(month("quick", changes), agentic(brain="llm", llm=f"{own.__name__}:make", talk=5, concurrency=2))
    said = [r for r in run.record.transcripts if r["kind"] == "said"]
    assert {r["text"] for r in said if r["speaker"] == "aggregator"} == {"Shall we agree on this?"}
    assert any(r["speaker"] == "owner" and r["text"] for r in said)
    assert run.record.opportunities()["notes_llm_by_fallback"].sum() == 0


def test_models_are_named_by_module_and_nothing_else_is_called(own: ModuleType) -> None:
    for name, model in (("make", "steady-1"), ("Steady", "steady-1"), ("ready", "steady-1")):
        stack = open_stack(LlmOptions(f"my_models_4711:{name}"))
        assert (stack.model.provider, stack.model.model) == ("langchain", model)
    for name in ("undeclared", "wrong", "number", "json"):
        with pytest.raises(PolicyError, match="is no model"):
            open_stack(LlmOptions(f"my_models_4711:{name}"))
    assert own.CALLED == []
    for name in ("os:abort", "sys:exit", "os:system", "builtins:print", "shutil:rmtree", "pathlib:Path"):
        with pytest.raises(PolicyError, match=r"(?i)nothing of it was called"):
            open_stack(LlmOptions(name))
    for name in ("no_such_module:x", "my_models_4711:nothing", ":x", "os:", "a b:c"):
        with pytest.raises(UnknownNameError, match="cannot be imported"):
            open_stack(LlmOptions(name))
    with pytest.raises(PolicyError, match="model, base_url"):
        LlmOptions("my_models_4711:make", model="x", base_url="http://x")


def test_the_command_line_plays_a_named_model(
    own: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "agentic(brain='llm', llm='my_models_4711:make')"
    args = [
        "--policies",
        spec,
        "--scenario",
        "quick",
        "--out",
        "run",
        "--no-figures",
        "--no-ceilings",
        "--executor",
        "serial",
    ]
    assert main([*args, "--llm-concurrency", "8"]) == 0
    printed = capsys.readouterr().out
    assert "my_models_4711:make, estimate per month" in printed
    assert "decisions: model 11" in printed
    bad = ["--policies", spec.replace("make", "number"), "--scenario", "quick", "--quiet"]
    assert main(bad) == 2
    assert "is no model" in capsys.readouterr().err


def test_litellm_is_asked_as_it_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in module: the real one is 200 MB."""
    asked: list[dict[str, Any]] = []
    answer: list[Any] = [
        {
            "model": "claude-x",
            "choices": [{"message": {"content": GOOD}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 70, "completion_tokens": 12},
        }
    ]

    def completion(**kwargs: Any) -> Any:
        asked.append(kwargs)
        if isinstance(answer[0], Exception):
            raise answer[0]
        return SimpleNamespace(model_dump=lambda: answer[0])

    stand_in = ModuleType("litellm")
    stand_in.completion = completion  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litellm", stand_in)
    options = LlmOptions("litellm", model="anthropic/claude-haiku-4-5", thinking=1024)
    reply = ask(open_stack(options).model)
    assert (reply.value, reply.usage, reply.model) == (Form(cents=5), Usage(70, 12), "claude-x")
    (sent,) = asked
    assert sent["model"] == "anthropic/claude-haiku-4-5"
    assert sent["max_tokens"] == 50 + 1024
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert (sent["num_retries"], sent["drop_params"], sent["temperature"]) == (0, True, 0)
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["cents", "parts"]
    model = LiteLLM("x/y", base_url="http://localhost:1")
    for odd, error in (
        ({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}, CutOff),
        ({"choices": []}, Permanent),
        (type("AuthenticationError", (Exception,), {"status_code": 401})("bad key sk-aaaaaaaaaaaa"), Denied),
        (type("Timeout", (Exception,), {"status_code": 408})("slow"), Transient),
        (ValueError("odd"), Transient),
    ):
        answer[0] = odd
        with pytest.raises(error) as caught:
            ask(model)
        assert "aaaaaaaa" not in str(caught.value)
    assert asked[-1]["api_base"] == "http://localhost:1"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vpp-env\[litellm\]"'):
        open_stack(LlmOptions("litellm"))
    monkeypatch.setitem(sys.modules, "langchain_core.language_models", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vpp-env\[langchain\]"'):
        LangChain(object())


def test_every_provider_has_two_models_with_prices_and_their_source(tmp_path: Path) -> None:
    import tomllib
    from importlib.resources import files

    table = tomllib.loads(files("vpp_policies.llm").joinpath("models.toml").read_text("utf-8"))
    assert table.keys() == ADAPTERS.keys()
    for provider in ("gemini", "openai", "litellm"):
        ids = [table[provider]["model"], *table[provider]["models"]]
        assert len(ids) >= 2
        for model in ids:
            settings = load_settings(provider, model=model)
            assert settings.model == model
            assert model == ids[0] or settings.price.tokens_out > 0
        for row in (table[provider], *table[provider]["models"].values()):
            assert row["source"]
    luna = load_settings("openai", model="gpt-6-luna")
    assert (luna.base_url, luna.price, luna.omit) == ("https://api.openai.com/v1", Price(0.1, 0.5), ("max_tokens",))
    assert load_settings("openai", model="mine").price == Price()
    own = tmp_path / "models.toml"
    for text in (
        "[openai]\nmodel = 1\n",
        "openai = 3\n",
        '[openai]\nmodel = "x"\nusd_per_mtok_in = "dear"\nusd_per_mtok_out = 0\nrequests_per_minute = 1\n'
        "tokens_per_minute = 1\nkeys = []\n",
        '[openai]\nmodel = "x"\nusd_per_mtok_in = -1\nusd_per_mtok_out = nan\nrequests_per_minute = 1\n'
        "tokens_per_minute = 1\nkeys = []\n",
        "\x00",
    ):
        own.write_text(text)
        with pytest.raises(DataError, match="models file"):
            load_settings("openai", str(own))
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        load_settings("openai", str(own))


def test_options_of_models_are_checked() -> None:
    for bad in (
        {"concurrency": -1},
        {"concurrency": 10**6},
        {"thinking": -1},
        {"thinking": 10**9},
        {"base_url": "localhost:11434/v1"},
    ):
        with pytest.raises(PolicyError):
            LlmOptions("openai", **bad)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="stop"):
        LlmOptions("openai", fallback="stopp")
    for llm in ("scripted", "replay", "gemini_legacy"):
        with pytest.raises(PolicyError, match="thinking"):
            LlmOptions(llm, thinking=5)
    with pytest.raises(PolicyError, match="concurrency"):
        LlmOptions("replay", concurrency=5)
    with pytest.raises(PolicyError, match="got a int"):
        LlmOptions(3)  # type: ignore[arg-type]


def test_a_key_that_is_none_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abc\u2026def")
    with pytest.raises(PolicyError, match="OPENAI_API_KEY holds characters") as caught:
        open_stack(LlmOptions("openai"))
    assert "abc" not in str(caught.value)
