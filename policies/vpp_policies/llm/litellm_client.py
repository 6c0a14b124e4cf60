"""Every provider that LiteLLM knows, through its `completion`: `model="anthropic/claude-haiku-4-5"`.

LiteLLM reads the keys of each provider from the environment by itself. Its own retries are off, and parameters that a
model does not take are dropped by it.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from vpp_env.errors import needs
from vpp_policies.llm import foreign
from vpp_policies.llm.chat import Reply, json_schema, tokens
from vpp_policies.llm.openai_compatible import read_completion


class LiteLLM:
    """One `litellm.completion` per question, with a JSON schema, at temperature 0.

    Parameters
    ----------
    model : str
        Provider and model, as LiteLLM names them.
    base_url : str, optional
        Address of a server of one's own.
    thinking : int, optional
        Tokens that it may think, of those that an answer may have; 0 turns thinking off; None: it is not spoken of.
    effort : str
        `reasoning_effort`, where the model has one; empty: not sent.
    """

    provider = "litellm"

    def __init__(self, model: str, base_url: str | None = None, thinking: int | None = None, effort: str = "") -> None:
        with needs('llm="litellm"', "litellm"):
            import litellm
        self.model, self._litellm = model, litellm
        self._more: dict[str, Any] = {"api_base": base_url} if base_url else {}
        if effort:
            self._more["reasoning_effort"] = effort
        if thinking is not None:
            kind = {"type": "enabled", "budget_tokens": thinking} if thinking else {"type": "disabled"}
            self._more["thinking"] = kind

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Ask once."""
        form = {"name": schema.__name__, "schema": json_schema(schema), "strict": True}

        def do() -> Any:
            response = self._litellm.completion(
                model=self.model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                response_format={"type": "json_schema", "json_schema": form},
                temperature=0,
                max_tokens=max_tokens,
                timeout=timeout_s,
                num_retries=0,
                drop_params=True,
                **self._more,
            )
            return response.model_dump()

        return read_completion(
            self.provider, self.model, foreign.ask(self.provider, do, timeout_s), schema, tokens(system, user)
        )
