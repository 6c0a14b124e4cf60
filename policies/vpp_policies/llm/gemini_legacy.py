"""Gemini through google-generativeai, whose support has ended; an extra of its own, for those who still use it.

Facts of this client that the code answers: it drops `required` from pydantic schemas, so the schema is built by hand;
it knows neither bounds nor `additionalProperties`; it retries 503 by itself unless told not to; `.text` of a blocked
answer raises.
"""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm.chat import (
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
from vpp_policies.llm.foreign import GRACE_S
from vpp_policies.llm.received import counted
from vpp_policies.llm.threads import in_time

BLOCKING = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
KEPT = ("type", "description", "enum", "items", "properties", "required")
"""Keywords of a schema that this client's protocol buffers have, under the same names."""


def plain_schema(node: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a JSON schema that the client understands; bounds go into the description."""
    out = {k: v for k, v in node.items() if k in KEPT}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "minimum" in node:
        out["description"] = f"{node.get('description', '')} [{node['minimum']} to {node['maximum']}]".strip()
    if "items" in out:
        out["items"] = plain_schema(out["items"])
    if "properties" in out:
        out["properties"] = {name: plain_schema(part) for name, part in out["properties"].items()}
    return out


class GeminiLegacy:
    """One `generate_content` per question over REST. Parameters as of `gemini.Gemini`; `base_url` is host and port."""

    provider = "gemini_legacy"

    def __init__(self, model: str, key: str, base_url: str | None = None) -> None:
        with needs('llm="gemini_legacy"', "gemini-legacy"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # its own notice that support has ended
                import google.generativeai as genai
            import requests
            from google.api_core import exceptions
            from google.protobuf import json_format
        self.model, self._key = model, key
        self._genai, self._exceptions, self._requests = genai, exceptions, requests
        self._no_json = (json_format.ParseError, UnicodeDecodeError, requests.exceptions.JSONDecodeError)
        options = {"api_endpoint": base_url} if base_url else None
        genai.configure(api_key=key, transport="rest", client_options=options)

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        asked = self._genai.GenerativeModel(
            self.model,
            system_instruction=system,
            generation_config={
                "temperature": 0.0,
                "max_output_tokens": max_tokens,
                "response_mime_type": "application/json",
                "response_schema": plain_schema(json_schema(schema)),
            },
        )
        once: Any = {"timeout": timeout_s, "retry": None}
        try:
            response = in_time(lambda: asked.generate_content(user, request_options=once), timeout_s + GRACE_S)
        except self._exceptions.GoogleAPICallError as error:
            headers = getattr(error.response, "headers", None) or {}
            words = error.message
            raise failure(self.provider, int(error.code or 0), headers.get("retry-after"), words, self._key) from error
        except (self._exceptions.RetryError, TimeoutError) as error:
            raise Transient(f"{self.provider}: no answer in {timeout_s:g} s", maybe_billed=True) from error
        except self._no_json as error:
            raise Transient(f"{self.provider}: the body of the answer is no JSON", maybe_billed=True) from error
        except self._requests.RequestException as error:
            raise Transient(f"{self.provider}: {type(error).__name__}", maybe_billed=True) from error
        return self._read(response, schema, tokens(system, user))

    def _read(self, response: Any, schema: type[BaseModel], asked: int) -> Reply:
        if response.prompt_feedback.block_reason:
            raise Blocked(f"{self.provider}: question blocked")
        if not response.candidates:
            raise Permanent(f"{self.provider}: the answer has no candidate")
        candidate = response.candidates[0]
        if candidate.finish_reason.name in BLOCKING:
            raise Blocked(f"{self.provider}: answer blocked ({candidate.finish_reason.name})")
        text = "".join(part.text for part in candidate.content.parts)
        used, cut = response.usage_metadata, candidate.finish_reason.name == "MAX_TOKENS"
        # its messages have 0 where the server said nothing
        said = counted(used.candidates_token_count or None, tokens(text))
        usage = Usage(counted(used.prompt_token_count or None, asked), said)
        if not text and not cut:
            raise Permanent(f"{self.provider}: the answer has no text (finish reason {candidate.finish_reason.name})")
        return read(schema, text, usage, self.model, cut)
