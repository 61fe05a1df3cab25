"""A TOML document whose values have their file and key, for error messages."""

from __future__ import annotations

import json
import re
import tomllib
import zlib
from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, ValidationError, convert

from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.input_file import MB, opened

Text = Annotated[str, Meta(min_length=1)]

_SHOWN: Final = 80  # characters of a value in a message
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0, "Keys"
_PLACE: Final = re.compile(r" - at `\$(\S+)`\Z")  # at the end of msgspec's messages: the place within the value
_WRONG_TYPE: Final = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)`")
SIZE_LIMIT: Final = MB
"""Bytes of a configuration. That of a large project, with all its other tools, has some 50,000."""
_LONG_KEY: Final = re.compile(r"""(?<![\w.'"-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){64}""", re.ASCII)
"""A dotted key, for which tomllib takes time with the square of its length."""
_TYPES: Final = {"array": "a list", "bool": "a boolean", "int": "an integer", "object": "a table", "str": "a string"}


class Value(Struct, frozen=True):
    """A value and its place. TOML has no null: `data` is None if the key is missing.

    Every reading method raises a SvcTraceError (`config-invalid`) that names the place, if the value has another type.
    """

    data: Any
    file: str
    key: str = ""  # dotted, with list indices: `services.postgres.ports[1]`

    def error(self, problem: str, hint: str) -> SvcTraceError:
        """The error for this value: what is wrong, and how to correct it."""
        return _bad_config(f"{self.file}: {self.key}: {problem}", hint, slug="config-invalid")

    def __getitem__(self, name: str) -> Value:
        quoted = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
        return Value(self.read(dict, default={}).get(name), self.file, f"{self.key}.{quoted}".removeprefix("."))

    def members(self) -> dict[str, Value]:
        """A table's values by key; empty if the table is missing."""
        return {name: self[name] for name in self.read(dict, default={})}

    def items(self) -> list[Value]:
        """A list's items; empty if the list is missing."""
        items = self.read(list, default=[])
        return [Value(item, self.file, f"{self.key}[{index}]") for index, item in enumerate(items)]

    def table(self, known: Collection[str]) -> Value:
        """This value, checked to be a table without unknown keys."""
        for name, value in self.members().items():
            if name not in known:
                raise value.error("unknown key", did_you_mean(name, known))
        return self

    def read(self, kind: Any, hint: str = "", default: Any = None, parse: Callable[..., Any] | None = None) -> Any:  # noqa: ANN401 -- a type, and its values
        """This value, checked and converted to a type. A Struct is a table whose known keys are the fields.

        Args:
            kind: the type.
            hint: how to correct a value that is not of this type.
            default: the result if the value is missing; None: it must not be missing.
            parse: makes values of the types that msgspec does not know. It raises a ValueError of problem and hint.
        """
        if self.data is None and default is not None:
            return default
        if hasattr(kind, "__struct_fields__"):
            self.table(kind.__struct_fields__)
        try:
            return convert(self.data, kind, dec_hook=parse)
        except ValidationError as error:
            message, place = str(error), _PLACE.search(str(error))
            problem = f"{shown(self.data)} is not valid"
            if error.__cause__:
                problem, hint = error.__cause__.args
            elif types := _WRONG_TYPE.match(message):
                expected, actual = (_TYPES.get(name, f"a {name}") for name in types.groups())
                problem = "is missing" if actual == "a null" else f"is {actual}, not {expected}"
                hint = hint or f"Give it as {expected}."
            elif message.startswith("Expected") and " of length " in message:
                problem, hint = "is empty", hint or "Fill it, or leave it out."
            raise Value(None, self.file, self.key + (place[1] if place else "")).error(problem, hint) from None


def shown(data: object) -> str:
    """A value for a message: its beginning, if it is long."""
    try:
        text = repr(data)
    except ValueError:  # an integer of more digits than Python converts
        return "the number"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A hint: the known name that is most similar to a wrong one, and all known names."""
    nearest = get_close_matches(name, known, n=1)
    return f"Write {f'`{nearest[0]}`, or another' if nearest else 'one'} of: {', '.join(known)}."


def read_document(path: Path, name: str) -> Value:
    """Read a TOML document; errors call it `name`.

    Raises:
        SvcTraceError: it cannot be read (`config-unreadable`), or is no TOML in UTF-8 (`config-syntax`).
    """
    try:
        with opened(path, SIZE_LIMIT) as file:
            text = file.read().decode()
        if _LONG_KEY.search(text):
            raise ValueError("a key has more than 64 parts")
        return Value(tomllib.loads(text), name)
    except (OSError, EOFError, zlib.error) as error:
        hint = "Name a configuration that exists and that you may read."
        problem = getattr(error, "strerror", None) or str(error)
        raise _bad_config(f"{name}: cannot be read: {problem}", hint, slug="config-unreadable") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8 (at line {line})"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:  # TOMLDecodeError, and integers that are too long for int()
        problem = str(error)
    hint = "Correct the TOML. Its grammar is at https://toml.io/en/v1.0.0."
    raise _bad_config(f"{name}: {problem}", hint, slug="config-syntax")


def _bad_config(message: str, hint: str, slug: str) -> SvcTraceError:
    return SvcTraceError(message, hint=hint, slug=slug, exit_code=ExitStatus.BAD_CONFIG)
