"""`agentic(brain="llm", llm="langchain_model:Steady", talk=5)`, in this folder: a model that decides nothing."""

import json

from langchain_core.language_models import SimpleChatModel
from vpp_policies.agentic.card import EMPTY
from vpp_policies.agentic.conversation import AS_DRAFTED
from vpp_policies.agentic.strategy import RULES


class Steady(SimpleChatModel):
    """Offers what the rules have drafted, reads nothing out of words, and takes the rules' strategy."""

    model_name: str = "steady-1"
    _llm_type = "steady"

    def _call(self, messages, stop=None, run_manager=None, **kwargs) -> str:
        asked = json.loads(messages[-1].content)  # an owner's draft, an owner's words, or an hour's numbers
        answer = AS_DRAFTED if "draft" in asked else EMPTY if "statement" in asked else RULES
        return answer.model_dump_json()
