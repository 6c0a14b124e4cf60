"""Gemini through google-genai, the client that is supported.

Facts of this client that the code answers: without `http_options` it has no time-out and no retry (we retry
centrally); `client.models` does not keep the client alive, so we hold it; `.text` is None when an answer is blocked.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    tokens,
)
from vpp_policies.llm.received import ODD, counted

BLOCKING = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"})
"""Finish reasons of an answer that was kept back."""
BAD_REQUEST = 400


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
    thinking : int, optional
        Tokens that it may think, of those that an answer may have; None: as the model does by itself.
    omit : iterable of str
        `temperature`, where the model is known to refuse it.
    """

    provider = "gemini"

    def __init__(
        self,
        model: str,
        key: str,
        base_url: str | None = None,
        thinking: int | None = None,
        omit: Iterable[str] = (),
    ) -> None:
        with needs('llm="gemini"', "gemini"):
            import httpx
            from google import genai

            from vpp_policies.llm.transport import Transport
        self.model = model
        self._genai, self._httpx, self._key = genai, httpx, key
        self._temperature = None if "temperature" in omit else 0.0
        self._thinking = None if thinking is None else genai.types.ThinkingConfig(thinking_budget=thinking)
        # an httpx client of our own: another transport library would bring other exceptions
        options = genai.types.HttpOptions(
            base_url=base_url, httpx_client=httpx.Client(transport=Transport(), trust_env=False)
        )
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        types, errors = self._genai.types, self._genai.errors
        config = types.GenerateContentConfig(
            system_instruction=system,
            temperature=self._temperature,
            max_output_tokens=max_tokens,
            response_mime_type="application/json",
            response_json_schema=json_schema(schema),
            thinking_config=self._thinking,
            http_options=types.HttpOptions(timeout=round(1000 * timeout_s)),
        )
        try:
            response = self._client.models.generate_content(model=self.model, contents=user, config=config)
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None) or {}
            words = str(error.message or error.status)
            failed = failure(self.provider, int(error.code or 0), headers.get("retry-after"), words, self._key)
            if error.code == BAD_REQUEST and config.temperature is not None and "temperature" in words.lower():
                self._temperature = None  # this model refuses it, as it will again
                raise Adapted(str(failed)) from error
            raise failed from error
        except self._httpx.ConnectError as error:
            raise Transient(f"{self.provider}: cannot connect: {error}") from error
        except self._httpx.TransportError as error:
            raise Transient(f"{self.provider}: {type(error).__name__}: {error}", maybe_billed=True) from error
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            # no JSON, or JSON of another shape: the client trips over it in its own ways
            raise Transient(f"{self.provider}: the body of the answer cannot be read", maybe_billed=True) from error
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
        content = candidates[0].content
        # what it thought aloud is no answer
        parts = [p for p in (content.parts if content else None) or () if not p.thought]
        text = "".join(p.text for p in parts if isinstance(p.text, str))
        used, cut, named = response.usage_metadata, reason is not None and reason.name == "MAX_TOKENS", self.model
        asked = counted(used.prompt_token_count if used else None, asked)
        said = counted(used.candidates_token_count if used else None, tokens(text))
        # thinking is billed as output
        thought = counted(used.thoughts_token_count if used else None, 0)
        usage, named = Usage(asked, said + thought if min(said, thought) >= 0 else ODD), response.model_version or named
        if not text and not cut:
            raise Permanent(f"{self.provider}: the answer has no text (finish reason {reason and reason.name})")
        return read(schema, text, usage, named, cut)
