"""A checker of JSON schemas: the keywords that docs/schemas use, and an error at any other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda x: isinstance(x, dict),
    "array": lambda x: isinstance(x, list),
    "string": lambda x: isinstance(x, str),
    "boolean": lambda x: isinstance(x, bool),
    "null": lambda x: x is None,
    "number": lambda x: isinstance(x, int | float) and not isinstance(x, bool),
    "integer": lambda x: isinstance(x, int) and not isinstance(x, bool),
}
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda x, want: any(TYPES[name](x) for name in ([want] if isinstance(want, str) else want)),
    "enum": lambda x, want: x in want,
    "const": lambda x, want: x == want,
    "minimum": lambda x, want: not TYPES["number"](x) or x >= want,
    "pattern": lambda x, want: not isinstance(x, str) or re.search(want, x) is not None,
    "minItems": lambda x, want: not isinstance(x, list) or len(x) >= want,
    "maxItems": lambda x, want: not isinstance(x, list) or len(x) <= want,
    "required": lambda x, want: not isinstance(x, dict) or set(want) <= set(x),
}
SAID = {"$schema", "$defs", "title", "description"}
PARTS = {"$ref", "oneOf", "items", "properties", "patternProperties", "additionalProperties"}


def errors(data: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, at: str = "$") -> list[str]:
    """Return what is wrong with `data`: where, and which keyword it breaks."""
    return list(_errors(data, schema, root or schema, at))


def _errors(data: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    unknown = set(schema) - SAID - PARTS - set(TESTS)
    assert not unknown, f"the checker does not know {unknown}"
    for keyword, want in schema.items():
        if keyword in TESTS and not TESTS[keyword](data, want):
            yield f"{at}: {str(data)[:60]!r} breaks {keyword} {want}"
    if "$ref" in schema:
        yield from _errors(data, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "oneOf" in schema:
        found = [errors(data, one, root, at) for one in schema["oneOf"]]
        if sum(not wrong for wrong in found) != 1:
            yield from min((wrong for wrong in found if wrong), key=len, default=[f"{at}: fits several of oneOf"])
    if isinstance(data, list) and "items" in schema:
        for k, item in enumerate(data):
            yield from _errors(item, schema["items"], root, f"{at}[{k}]")
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _of_key(key, value, schema, root, f"{at}.{key}")


def _of_key(key: str, value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    parts = [schema["properties"][key]] if key in schema.get("properties", {}) else []
    parts += [one for pattern, one in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    rest = schema.get("additionalProperties", True)
    if not parts and rest is False:
        yield f"{at}: is not named by the schema"
    for part in parts or ([rest] if isinstance(rest, dict) else []):
        yield from _errors(value, part, root, at)
