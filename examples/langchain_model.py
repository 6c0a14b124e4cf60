"""A chat model of LangChain: `agentic(brain="llm", llm="langchain_model:make")`, in the folder of this file.

This one is no language model: it says nothing of any owner, and takes the rules' own strategy. Put your own in its
place: `return ChatOpenAI(model="gpt-6-luna", max_tokens=600, max_retries=0)`, with whatever callbacks trace it.
"""

import json

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from vpp_policies.agentic.card import EMPTY
from vpp_policies.agentic.strategy import RULES


class Steady(BaseChatModel):
    """Answer by what is asked."""

    model_name: str = "steady-1"
    _llm_type = "steady"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        answer = EMPTY if "statement" in json.loads(messages[-1].content) else RULES
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer.model_dump_json()))])


def make() -> BaseChatModel:
    """Return the model; the arrow is what makes it callable from a name."""
    return Steady()
