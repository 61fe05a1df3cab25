"""A TOML document whose values have their file and key, for error messages."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from typing import Any, Final

from tracer.errors import ExitStatus, SvcTraceError

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0, "Keys"
_KINDS: Final = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its place. TOML has no null: `data` is None if the key is missing.

    Every reading method raises a SvcTraceError (`config-invalid`) that names the place, if the value has another type.
    """

    data: Any
    file: str
    key: str = ""  # dotted, with list indices: `services.postgres.ports[1]`

    def error(self, problem: str, hint: str) -> SvcTraceError:
        """The error for this value: what is wrong, and how to correct it."""
        place = f"{self.file}: {self.key}" if self.key else self.file
        return SvcTraceError(f"{place}: {problem}", hint=hint, slug="config-invalid", exit_code=ExitStatus.BAD_CONFIG)

    def __getitem__(self, name: str) -> Value:
        quoted = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
        return Value(self._read(dict, {}).get(name), self.file, f"{self.key}.{quoted}" if self.key else quoted)

    def table(self, known: tuple[str, ...]) -> Value:
        """This value, checked to be a table without unknown keys."""
        for name in self._read(dict, {}):
            if name not in known:
                raise self[name].error("unknown key", did_you_mean(name, known))
        return self

    def members(self) -> Iterator[tuple[str, Value]]:
        """A table's keys and values; none if the table is missing."""
        return ((name, self[name]) for name in self._read(dict, {}))

    def items(self) -> list[Value]:
        """A list's items; none if the list is missing."""
        return [Value(item, self.file, f"{self.key}[{index}]") for index, item in enumerate(self._read(list, []))]

    def text(self) -> str:
        """A string of at least one character."""
        text: str = self._read(str, "")
        if not text:
            raise self.error("is missing" if self.data is None else "is empty", "Give it as a string.")
        return text

    def texts(self) -> tuple[str, ...]:
        """A list of strings; empty if it is missing."""
        return tuple(item.text() for item in self.items())

    def flag(self) -> bool:
        """A boolean; False if it is missing."""
        flag: bool = self._read(bool, False)
        return flag

    def _read(self, kind: type, absent: object) -> Any:  # noqa: ANN401 - whatever `kind` is
        if self.data is None:
            return absent
        if type(self.data) is not kind:
            found = _KINDS.get(type(self.data), f"a {type(self.data).__name__}")
            raise self.error(f"is {found}, not {_KINDS[kind]}", f"Give it as {_KINDS[kind]}.")
        return self.data


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """A hint: the known name that is most similar to a wrong one, and all known names."""
    nearest = get_close_matches(name, known, n=1)
    return f"Write {f'`{nearest[0]}`, or another' if nearest else 'one'} of: {', '.join(known)}."


def read_document(path: Traversable, name: str) -> Value:
    """Read a TOML document; errors call it `name`.

    Raises:
        SvcTraceError: it cannot be read (`config-unreadable`), or is no TOML in UTF-8 (`config-syntax`).
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SvcTraceError(
            f"{name}: cannot be read: {error.strerror}",
            hint="Name a configuration that exists and that you may read.",
            slug="config-unreadable",
            exit_code=ExitStatus.BAD_CONFIG,
        ) from None
    try:
        return Value(tomllib.loads(raw.decode()), name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8 (at line {line})"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:  # TOMLDecodeError, and integers that are too long for int()
        problem = str(error)
    raise SvcTraceError(
        f"{name}: {problem}",
        hint="Correct the TOML. Its grammar is at https://toml.io/en/v1.0.0.",
        slug="config-syntax",
        exit_code=ExitStatus.BAD_CONFIG,
    )
