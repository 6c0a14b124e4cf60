"""Language models behind one small interface: adapters, wrappers, cassettes. Nothing here knows of negotiations.

`chat` has the interface, `stack` builds a model in its wrappers, `decide` turns answers into decisions with a source.
Clients of providers are imported only when they are named.
"""

from policies.llm.chat import ChatModel, Reply, Usage
from policies.llm.errors import Blocked, CassetteMiss, ChatError, Permanent, Transient
from policies.llm.ledger import Ledger
from policies.llm.stack import LlmOptions, Stack, open_stack

__all__ = [
    "Blocked",
    "CassetteMiss",
    "ChatError",
    "ChatModel",
    "Ledger",
    "LlmOptions",
    "Permanent",
    "Reply",
    "Stack",
    "Transient",
    "Usage",
    "open_stack",
]
