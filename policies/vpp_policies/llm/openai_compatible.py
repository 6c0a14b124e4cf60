"""Any server that speaks the OpenAI chat protocol: Ollama, llama.cpp, vLLM, hosted ones. Over httpx, without an SDK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm.chat import (
    Adapted,
    Blocked,
    Permanent,
    Reply,
    Transient,
    Usage,
    failure,
    json_schema,
    read,
    schema_text,
    tokens,
)
from vpp_policies.llm.received import counted

ADAPTABLE = ("temperature", "max_completion_tokens", "max_tokens", "reasoning_effort", "response_format")
"""Parameters that a server may refuse and that the question can do without, or with another name; the first of them
that its words name is the one."""
UNSUITABLE = frozenset({400, 422})
"""Status codes of a parameter that is refused."""


class OpenAICompatible:
    """One chat completion per question, with a JSON schema, at temperature 0.

    Servers differ in what they take: reasoning models refuse a temperature and want `max_completion_tokens`. What one
    refuses is learnt from its words, once, or known before (`omit`).

    Parameters
    ----------
    model : str
        As the server names it.
    base_url : str
        Up to and with `/v1`.
    key : str, optional
        Sent as a bearer token; a local server needs none.
    omit : iterable of str
        Parameters of `ADAPTABLE` that the model is known to refuse. Without `max_tokens`, `max_completion_tokens` is
        sent; without `response_format`'s schema, any JSON is asked for and the schema is in the instructions.
    effort : str
        `reasoning_effort`, where the model has one; empty: not sent.
    """

    provider = "openai"

    def __init__(
        self, model: str, base_url: str, key: str | None = None, omit: Iterable[str] = (), effort: str = ""
    ) -> None:
        with needs("the OpenAI-compatible client", "llm"):
            import httpx

            from vpp_policies.llm.transport import Transport
        self.model, self.effort = model, effort
        self._httpx, self._key, self._omit = httpx, key, set(omit)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # no proxies and no redirects: a key goes to the address that was named and nowhere else
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/", headers=headers, transport=Transport(), trust_env=False
        )

    def body(self, system: str, user: str, schema: type[BaseModel], max_tokens: int) -> dict[str, Any]:
        """Return what is sent."""
        form: dict[str, Any] = {"name": schema.__name__, "schema": json_schema(schema), "strict": True}
        out = {"model": self.model, "temperature": 0, "reasoning_effort": self.effort}
        out |= {"max_completion_tokens" if "max_tokens" in self._omit else "max_tokens": max_tokens}
        out |= {"response_format": {"type": "json_schema", "json_schema": form}}
        if "response_format" in self._omit:
            out |= {"response_format": {"type": "json_object"}}
            system = f"{system}\n\nSchema of the JSON object: {schema_text(schema)}"
        out |= {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}
        left_out = {"temperature", "reasoning_effort"} & self._omit | (
            {"reasoning_effort"} if not self.effort else set()
        )
        return {k: v for k, v in out.items() if k not in left_out}

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        body = self.body(system, user, schema, max_tokens)
        try:
            response = self._client.post("chat/completions", json=body, timeout=timeout_s)
        except self._httpx.ConnectError as error:
            raise Transient(f"{self.provider}: cannot connect: {error}") from error
        except self._httpx.TransportError as error:
            raise Transient(f"{self.provider}: {type(error).__name__}: {error}", maybe_billed=True) from error
        ok = response.status_code == self._httpx.codes.OK
        try:
            data = response.json()
        except (ValueError, RecursionError) as error:
            if ok:
                raise Transient(f"{self.provider}: the body of the answer is no JSON", maybe_billed=True) from error
            data = None
        if not ok:
            words, code = said(data)
            if code == "content_filter":
                raise Blocked(f"{self.provider}: question blocked")
            status, after = response.status_code, response.headers.get("retry-after")
            if code == "insufficient_quota":
                status = 402  # sent as 429; no waiting helps
            failed = failure(self.provider, status, after, words, self._key)
            if status in UNSUITABLE and self._adapts(words, body):
                raise Adapted(str(failed)) from failed
            raise failed
        return read_completion(self.provider, self.model, data, schema, tokens(system, user))

    def _adapts(self, words: str, body: Mapping[str, Any]) -> bool:
        """Learn from a refusal what to leave out; whether that changes what has been sent."""
        named = next((p for p in ADAPTABLE if p in words and p in body), None)
        if named is None:
            return False
        if named == "response_format" and body[named] == {"type": "json_object"}:
            return False
        if named == "max_completion_tokens":
            self._omit.discard("max_tokens")  # an older server, which was believed to be a newer one
        elif named == "max_tokens" and "max_completion_tokens" not in words:
            return False  # refused as too large, not as unknown
        else:
            self._omit.add(named)
        return True


def said(data: Any) -> tuple[str, str]:
    """Return a server's words about a failure and its code, from any of the forms that servers have."""
    inner = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(inner, dict):
        return str(inner or ""), ""
    words = next((inner[k] for k in ("message", "detail", "error", "msg") if inner.get(k)), "")
    return str(words), str(inner.get("code") or "")


def read_completion(provider: str, asked_model: str, data: Any, schema: type[BaseModel], asked: int) -> Reply:
    """Read a chat completion, whatever a server has put into it; `asked` is the estimate of the question's tokens."""
    try:
        choice = data["choices"][0]
        message = choice["message"]
        text, refusal, finish = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Permanent(f"{provider}: the answer has no choices[0].message") from error
    if refusal or finish == "content_filter":
        raise Blocked(f"{provider}: refused by the safety filter")
    used, cut = data.get("usage"), finish == "length"
    used = used if isinstance(used, dict) else {}
    text = text if isinstance(text, str) else ""
    usage = Usage(counted(used.get("prompt_tokens"), asked), counted(used.get("completion_tokens"), tokens(text)))
    named = str(data.get("model") or asked_model)
    # a local server may name a file of this machine: its path is nobody's business
    named = named.rpartition("/")[2] if named.startswith("/") else named
    if not text and not cut:
        raise Permanent(f"{provider}: the answer has no text")
    return read(schema, text, usage, named, cut)
