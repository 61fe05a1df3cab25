"""The JSON Schema of a configuration, made of the types by which it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.json import schema

from tracer.classify.services.rules import Layer
from tracer.classify.services.values import SCHEMAS

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_TITLE: Final = "Configuration of svc-trace"
_DESCRIPTION: Final = "The file svc-trace.toml, or the table [tool.svc-trace] of pyproject.toml."
_LEFT_OUT: Final = frozenset({"title", "default", "uniqueItems", "properties"})
_NULL: Final = {"type": "null"}


def configuration_schema() -> dict[str, Any]:
    """The schema of a file such as `svc-trace.toml`, or of the table `[tool.svc-trace]`.

    Editors differ in what they support. So there are no references and no keywords of newer drafts: it has the same
    meaning in draft-04 to 2020-12, except that only draft-06 and later check the names of services.
    """
    found = schema(Layer, schema_hook=lambda kind: dict(SCHEMAS[kind]))
    made: dict[str, Any] = _simplified(found, found["$defs"])
    return {"$schema": _DRAFT, "title": _TITLE} | made | {"description": _DESCRIPTION}


def _simplified(part: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """A part of msgspec's schema, with what its references stand for, and as svc-trace reads TOML.

    Tables have no unknown keys, lists may have an entry twice, and there is no null.
    """
    if isinstance(part, list):
        return [_simplified(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        beside = {key: value for key, value in part.items() if key not in ("$ref", "$defs")}
        return _simplified(definitions[part["$ref"].rpartition("/")[2]] | beside, definitions)
    types = [one for one in part.get("anyOf", ()) if one != _NULL]
    if len(types) == 1:  # of a key that may be missing
        return _simplified(types[0], definitions)
    made = {key: _simplified(value, definitions) for key, value in part.items() if key not in _LEFT_OUT}
    if "properties" in part:
        fields = part["properties"].items()
        made["properties"] = {name: _simplified(field, definitions) for name, field in fields}
        made["additionalProperties"] = False
    if not part.get("required"):  # draft-04 has no empty list here
        made.pop("required", None)
    return made
