"""Language models behind one small interface: adapters, wrappers, cassettes. Nothing here knows of negotiations.

`chat` has the interface, `stack` builds a model in its wrappers, `decide` turns answers into decisions with a source.
Clients of providers are imported only when they are named.
"""

from vpp_policies.llm.chat import (
    Blocked,
    CassetteMiss,
    ChatError,
    ChatModel,
    CutOff,
    Denied,
    Permanent,
    Refused,
    Reply,
    Transient,
    Usage,
)
from vpp_policies.llm.ledger import Ledger
from vpp_policies.llm.stack import LlmOptions, Stack, open_stack

__all__ = [
    "Blocked",
    "CassetteMiss",
    "ChatError",
    "ChatModel",
    "CutOff",
    "Denied",
    "Ledger",
    "LlmOptions",
    "Permanent",
    "Refused",
    "Reply",
    "Stack",
    "Transient",
    "Usage",
    "open_stack",
]
