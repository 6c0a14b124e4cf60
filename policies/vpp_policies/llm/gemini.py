"""Gemini through google-genai, the client that is supported.

Facts of this client that the code answers: without `http_options` it has no time-out and no retry (we retry
centrally); `client.models` does not keep the client alive, so we hold it; `.text` is None when an answer is blocked.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm.chat import Blocked, Permanent, Reply, Transient, Usage, failure, json_schema, read, tokens

BLOCKING = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"})
"""Finish reasons of an answer that was kept back."""


class Gemini:
    """One `generate_content` per question, JSON schema, temperature 0, no tools.

    Parameters
    ----------
    model : str
        Model id.
    key : str
        API key; sent in a header, never in the address.
    base_url : str, optional
        Another address than Google's (tests, proxies).
    """

    provider = "gemini"

    def __init__(self, model: str, key: str, base_url: str | None = None) -> None:
        with needs('llm="gemini"', "gemini"):
            import httpx
            from google import genai
        self.model = model
        self._genai, self._httpx = genai, httpx
        # an httpx client of our own: another transport library would bring other exceptions
        options = genai.types.HttpOptions(base_url=base_url, httpx_client=httpx.Client(trust_env=False))
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        types, errors = self._genai.types, self._genai.errors
        config = types.GenerateContentConfig(
            system_instruction=system,
            temperature=0.0,
            max_output_tokens=max_tokens,
            response_mime_type="application/json",
            response_json_schema=json_schema(schema),
            http_options=types.HttpOptions(timeout=round(1000 * timeout_s)),
        )
        try:
            response = self._client.models.generate_content(model=self.model, contents=user, config=config)
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None) or {}
            raise failure(self.provider, int(error.code or 0), headers.get("retry-after"), str(error.status)) from error
        except self._httpx.ConnectError as error:
            raise Transient(f"{self.provider}: cannot connect: {error}") from error
        except self._httpx.TransportError as error:
            raise Transient(f"{self.provider}: {type(error).__name__}: {error}", maybe_billed=True) from error
        except ValueError as error:
            raise Transient(f"{self.provider}: the body of the answer is no JSON", maybe_billed=True) from error
        return self._read(response, schema, tokens(system, user))

    def _read(self, response: Any, schema: type[BaseModel], asked: int) -> Reply:
        feedback, candidates = response.prompt_feedback, response.candidates or []
        if feedback is not None and feedback.block_reason:
            raise Blocked(f"{self.provider}: question blocked")
        if not candidates:
            raise Permanent(f"{self.provider}: the answer has no candidate")
        reason = candidates[0].finish_reason
        if reason is not None and reason.name in BLOCKING:
            raise Blocked(f"{self.provider}: answer blocked ({reason.name})")
        text = response.text
        if text is None:
            raise Permanent(f"{self.provider}: the answer has no text (finish reason {reason and reason.name})")
        used = response.usage_metadata
        # thinking is billed as output
        out = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0) if used else tokens(text)
        usage = Usage(used.prompt_token_count or asked if used else asked, out)
        return read(schema, text, usage, response.model_version or self.model)
