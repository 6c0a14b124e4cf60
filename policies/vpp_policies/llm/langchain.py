"""Any chat model of LangChain, through `langchain-core` alone.

Callbacks, tags and the prompt's name go with every call, and so does the run of the graph that asks: what traces a
graph sees the prompts of its nodes. Time and size are limited here; temperature, the limit of an answer and the
number of retries are the model's own, as it was built.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm import foreign
from vpp_policies.llm.chat import Permanent, Reply, Usage, json_schema, read, schema_text, tokens
from vpp_policies.llm.ledger import Price
from vpp_policies.llm.prompts import version_of
from vpp_policies.llm.received import counted, tidy

ENDS = frozenset({"length", "max_tokens", "MAX_TOKENS"})
"""What providers call the end of an answer at its limit."""


class LangChain:
    """A chat model of LangChain as a `ChatModel`.

    Parameters
    ----------
    model : BaseChatModel
        Built with its own key, limit and temperature; best with `max_retries=0`, since retries are made here.
    callbacks : sequence, optional
        Callback handlers of every call, beside those of the model and of a graph that asks.
    price : Price
        What its tokens cost; without one it counts as free.
    """

    provider = "langchain"

    def __init__(self, model: Any, callbacks: Sequence[Any] = (), price: Price | None = None) -> None:
        with needs("a chat model of LangChain", "langchain"):
            from langchain_core.language_models import BaseChatModel
        named = next((n for k in ("model_name", "model", "model_id") if isinstance(n := getattr(model, k, 0), str)), "")
        self.model = tidy(named or type(model).__name__, 100)
        self.price = price or Price()
        # a model that can call a tool can be made to answer in a form; others are told the form in words
        cls = type(model)
        forms = cls.bind_tools is not BaseChatModel.bind_tools
        self._forms = forms or cls.with_structured_output is not BaseChatModel.with_structured_output
        self._callbacks, self._model = list(callbacks), model

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        config: dict[str, Any] = {"run_name": version_of(system) or "question", "tags": ["vpp_env"]}
        if self._callbacks:
            config["callbacks"] = self._callbacks
        if self._forms:
            form = {"title": schema.__name__, "description": "The answer.", **json_schema(schema)}
            asked = self._model.with_structured_output(form, include_raw=True)
        else:
            asked, system = self._model, f"{system}\n\nSchema of the JSON object: {schema_text(schema)}"
        messages = [("system", system), ("user", user)]
        got = foreign.ask(self.provider, lambda: asked.invoke(messages, config), timeout_s)
        return self._read(got["raw"] if self._forms else got, schema, tokens(system, user))

    def _read(self, message: Any, schema: type[BaseModel], asked: int) -> Reply:
        calls = getattr(message, "tool_calls", None) or []
        text = json.dumps(calls[0].get("args"), default=str) if calls else _text(getattr(message, "content", ""))
        used = getattr(message, "usage_metadata", None) or {}
        about = getattr(message, "response_metadata", None) or {}
        usage = Usage(counted(used.get("input_tokens"), asked), counted(used.get("output_tokens"), tokens(text)))
        named = str(about.get("model_name") or about.get("model") or self.model)
        ends = (about.get(k) for k in ("finish_reason", "stop_reason", "done_reason"))
        cut = any(isinstance(e, str) and e in ENDS for e in ends)
        if not text and not cut:
            raise Permanent(f"{self.provider}: the answer has no text")
        return read(schema, text, usage, named, cut)


def _text(content: Any) -> str:
    """Text of a message's content: a string, or a list of blocks of which some are text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    parts = [b if isinstance(b, str) else b.get("text") if isinstance(b, dict) else None for b in blocks]
    return "".join(p for p in parts if isinstance(p, str))
