"""Graphs of one's own, and their checkpoints.

`agentic(graph='my_module:build')` plays `build(nodes) -> StateGraph` (or a compiled one) instead of `policy.plan`: the
same nodes in another order, fewer of them, or others beside them, on the channels of `policy.Channels`.

A graph that is compiled with a checkpointer is resumed where it stopped: an `act` that failed in the middle of an hour
is called again at the same gate, and what was done is not done again: no owner is asked twice. Everything in the state
is plain data but two live things, the owners' table and the reader of their statements; a checkpoint keeps their names
(`Serde`), and whoever resumes hands them in again.
"""

from __future__ import annotations

import inspect
import io
import pickle
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from vpp_env import PolicyError
from vpp_env.contract.named import named, returned

LIVE = ("table", "statements")
"""Channels that are no data."""
OURS = ("vpp_env.", "vpp_policies.")
"""Packages of which a checkpoint may hold dataclasses, enumerations and named tuples."""
PLAIN = frozenset(
    {
        *(("builtins", name) for name in ("set", "frozenset", "complex", "range", "slice", "bytearray")),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
        ("zoneinfo", "ZoneInfo"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
    }
)
"""What else it may hold."""
KIND = "vpp-state"


class Serde:
    """Serializer of the graph's state; attached to the checkpointer of a graph of one's own.

    What is read back is data (`OURS`, `PLAIN`), and the live things that were handed in.
    """

    def __init__(self) -> None:
        self.live: dict[str, Any] = {}

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize; of an error, its words."""
        obj = repr(obj) if isinstance(obj, BaseException) else obj
        names = {id(thing): name for name, thing in self.live.items()}
        out = io.BytesIO()

        class Names(pickle.Pickler):
            def persistent_id(self, obj: Any) -> str | None:
                return names.get(id(obj))

        Names(out, protocol=5).dump(obj)
        return KIND, out.getvalue()

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Read back.

        Raises
        ------
        PolicyError
            When it is of another kind, holds what is no data, or needs a live thing that is not handed in.
        """
        kind, content = data
        if kind != KIND:
            raise PolicyError(f"checkpoint of kind {kind!r}; allowed is {KIND!r}, as this policy writes them")
        live = self.live

        class Trusting(pickle.Unpickler):
            def persistent_load(self, pid: Any) -> Any:
                if pid not in live:
                    raise PolicyError(f"a checkpoint needs {pid!r}, which is handed in at a gate: resume through act()")
                return live[pid]

            def find_class(self, module: str, name: str) -> Any:
                if (module, name) == ("builtins", "getattr"):
                    return _time_zone
                if (module, name) in PLAIN:
                    return super().find_class(module, name)
                found = super().find_class(module, name) if f"{module}.".startswith(OURS) else None
                record = isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum | tuple))
                if not record:
                    raise PolicyError(f"a checkpoint holds {module}.{name}, which is no state of this graph; not read")
                return found

        return Trusting(io.BytesIO(content)).load()


def _time_zone(owner: Any, name: str) -> Any:
    """Return what a pickled time zone looks up, and nothing else."""
    if owner is not ZoneInfo or name != "_unpickle":
        raise PolicyError(f"a checkpoint looks up {name!r} of {owner!r}, which is no state of this graph; not read")
    return getattr(ZoneInfo, name)


def load_graph(name: str, nodes: Any) -> CompiledStateGraph:
    """Return the compiled graph that `module:build` makes around a month's nodes.

    Nothing is called that does not say that it returns a graph: a name in a results folder is data.

    Raises
    ------
    UnknownNameError
        When it cannot be imported.
    PolicyError
        When it is no function that says so, or returns something else.
    """
    remedy = "write module:build of a function `def build(nodes) -> StateGraph:`"
    build = named(name, "graph")
    if not inspect.isfunction(build) or not _says_graph(build):
        raise PolicyError(
            f"graph {name!r} is no function that says that it returns a graph, and was not called; {remedy}"
        )
    made = build(nodes)
    if isinstance(made, StateGraph):
        made = made.compile()
    if not isinstance(made, CompiledStateGraph):
        raise PolicyError(f"graph {name!r} returned a {type(made).__name__}; {remedy}")
    return made


def _says_graph(build: Callable[..., Any]) -> bool:
    made = returned(build)
    return isinstance(made, type) and issubclass(made, StateGraph | CompiledStateGraph)


def attach(graph: CompiledStateGraph, serde: Serde) -> bool:
    """Let the checkpointer of a graph write its state with `serde`; False where it has none."""
    if not isinstance(graph.checkpointer, BaseCheckpointSaver):
        return False
    graph.checkpointer.serde = serde
    return True
