"""A chat model of LangChain: `agentic(brain="llm", llm="langchain_model:make", talk=5)`, in the folder of this file.

This one is no language model: it says nothing of any owner, takes the rules' own strategy, and offers their drafts with
a kind word. Put your own in its place: `return ChatOpenAI(model="gpt-6-luna", max_tokens=600, max_retries=0)`, with
whatever callbacks trace it.
"""

import json

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from vpp_policies.agentic.card import EMPTY
from vpp_policies.agentic.conversation import Turn
from vpp_policies.agentic.strategy import RULES

AS_DRAFTED = {name: -1 for name in Turn.model_fields if name not in ("tool", "message")}
OFFER = Turn(tool="none", message="Shall we agree on this?", **AS_DRAFTED)


class Steady(BaseChatModel):
    """Answer by what is asked."""

    model_name: str = "steady-1"
    _llm_type = "steady"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        asked = json.loads(messages[-1].content)
        answer = OFFER if "draft" in asked else EMPTY if "statement" in asked else RULES
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer.model_dump_json()))])


def make() -> BaseChatModel:
    """Return the model; the arrow is what makes it callable from a name."""
    return Steady()
