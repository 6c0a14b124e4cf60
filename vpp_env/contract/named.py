"""Things of a user's own that a command line names: policies, graphs, models, speakers.

A name is data: what it names is imported and looked at, and called only where it says itself that it is the thing asked
for.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from vpp_env.errors import UnknownNameError, nearest, shortened


def named(name: str, what: str) -> Any:
    """Return what `package.module:name` or `path/to/file.py:name` names; it is not called.

    Parameters
    ----------
    name : str
        The working directory is searched first, as Python does.
    what : str
        What it is to be, as the user calls it: "policy", "graph".

    Raises
    ------
    UnknownNameError
        When it cannot be imported.
    """
    where, _, attribute = name.rpartition(":")
    try:
        if not where.endswith(".py") and not all(part.isidentifier() for part in where.split(".")):
            raise ImportError(f"{where!r} is no name of a module")
        module = _module_of_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (ImportError, AttributeError, SyntaxError, ValueError) as error:
        why = str(error)
        stop = "" if why.endswith("?") else "."
        raise UnknownNameError(
            f"{what} {name!r} cannot be imported: {why}{stop} Write package.module:name of an importable module, or "
            "path/to/file.py:name; what a file imports must be installed."
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        near = nearest(attribute, [key for key in vars(module) if not key.startswith("_")])
        raise UnknownNameError(
            f"{what} {name!r} cannot be imported: {where} defines no {shortened(attribute)!r}.{near}"
        ) from error


def arguments(text: str) -> ast.expr:
    """Parse the arguments `value, key=value, ...` that stand behind a name: a call, of which nothing is executed.

    Raises
    ------
    ValueError
        When it cannot be read.
    """
    try:
        return ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:  # the last two: nested too deeply
        raise ValueError(str(error)) from error


def returned(function: Callable[..., Any]) -> object:
    """Return the type that a function says that it returns; None where it says nothing that can be read."""
    try:
        said = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    return get_origin(said) or said  # StateGraph[Channels] is a StateGraph


def _module_of_file(path: Path) -> ModuleType:
    """Import one source file, once a process: under a name of its own, so that it clashes with no package."""
    if not str(path).isprintable():
        raise ImportError("the name of its file holds characters that cannot be printed")
    whole = path.expanduser().resolve()
    name = f"user_file_{hashlib.sha256(str(whole).encode()).hexdigest()[:12]}_{whole.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if not whole.is_file():
        beside = [file.name for file in whole.parent.glob("*.py")] if whole.parent.is_dir() else []
        raise ImportError(f"there is no file {whole}.{nearest(whole.name, beside)}".rstrip("."))
    spec = importlib.util.spec_from_file_location(name, whole)
    if spec is None or spec.loader is None:
        raise ImportError(f"{whole} is no Python source file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half a module is none: the next try reads the file again
        raise
    return module
