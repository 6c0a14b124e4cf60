"""Any server that speaks the OpenAI chat protocol: Ollama, llama.cpp, vLLM, hosted ones. Over httpx, without an SDK."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm.chat import Blocked, Permanent, Reply, Transient, Usage, failure, json_schema, read, tokens


class OpenAICompatible:
    """One chat completion per question, with a JSON schema, at temperature 0.

    Parameters
    ----------
    model : str
        As the server names it.
    base_url : str
        Up to and with `/v1`.
    key : str, optional
        Sent as a bearer token; a local server needs none.
    """

    provider = "openai"

    def __init__(self, model: str, base_url: str, key: str | None = None) -> None:
        with needs("the OpenAI-compatible client", "llm"):
            import httpx
        self.model = model
        self._httpx = httpx
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # no proxies and no redirects: a key goes to the address that was named and nowhere else
        self._client = httpx.Client(base_url=base_url.rstrip("/") + "/", headers=headers, trust_env=False)

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        form = {"name": schema.__name__, "schema": json_schema(schema), "strict": True}
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "response_format": {"type": "json_schema", "json_schema": form},
            "temperature": 0,
            "max_tokens": max_tokens,
        }
        try:
            response = self._client.post("chat/completions", json=body, timeout=timeout_s)
        except self._httpx.ConnectError as error:
            raise Transient(f"{self.provider}: cannot connect: {error}") from error
        except self._httpx.TransportError as error:
            raise Transient(f"{self.provider}: {type(error).__name__}: {error}", maybe_billed=True) from error
        if response.status_code != self._httpx.codes.OK:
            raise failure(self.provider, response.status_code, response.headers.get("retry-after"))
        try:
            data = response.json()
        except ValueError as error:
            raise Transient(f"{self.provider}: the body of the answer is no JSON", maybe_billed=True) from error
        return self._read(data, schema, tokens(system, user))

    def _read(self, data: Any, schema: type[BaseModel], asked: int) -> Reply:
        try:
            choice = data["choices"][0]
            message = choice["message"]
            text, refusal = message.get("content"), message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise Permanent(f"{self.provider}: the answer has no choices[0].message") from error
        if refusal or choice.get("finish_reason") == "content_filter":
            raise Blocked(f"{self.provider}: refused by the safety filter")
        if not isinstance(text, str):
            raise Permanent(f"{self.provider}: the answer has no text")
        used = data.get("usage") or {}
        usage = Usage(int(used.get("prompt_tokens", asked)), int(used.get("completion_tokens", tokens(text))))
        named = str(data.get("model") or self.model)
        # a local server may name a file of this machine: its path is nobody's business
        return read(schema, text, usage, named.rpartition("/")[2] if named.startswith("/") else named)
