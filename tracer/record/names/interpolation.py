"""Variables in the values of a Compose file, and the file `.env` that may set them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACE: Final = re.compile(r"\$\{|\}")
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*)")
_QUOTED: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
_COMMENT: Final = re.compile(r"(^|\s)#.*")


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """A value with its variables replaced: `$NAME`, `${NAME}`, `${NAME:-default}` and the like; `$$` is a dollar sign.

    A variable that is not set is empty. Source: compose-spec/compose-spec, 12-interpolation.md.
    """
    done = []
    while "$" in text:
        before, _, text = text.partition("$")
        done.append(before)
        if text.startswith("$"):
            done.append("$")
            text = text[1:]
        elif text.startswith("{"):
            expression, text = _to_closing_brace(text[1:])
            done.append(_value(expression, variables))
        elif name := _NAME.match(text):
            done.append(variables.get(name[0], ""))
            text = text[name.end() :]
        else:
            done.append("$")
    return "".join([*done, text])


def _to_closing_brace(text: str) -> tuple[str, str]:
    """What comes before the brace that closes an expression, and what comes behind it."""
    depth = 1
    for brace in _BRACE.finditer(text):
        depth += 1 if brace[0] == "${" else -1
        if depth == 0:
            return text[: brace.start()], text[brace.end() :]
    return text, ""


def _value(expression: str, variables: Mapping[str, str]) -> str:
    """The value of what is between braces: a name, perhaps an operator, and a word."""
    name = _NAME.match(expression)
    if not name:
        return ""
    value = variables.get(name[0])
    operator, word = expression[name.end() :][:1], expression[name.end() + 1 :]
    is_set = value is not None
    if operator == ":":
        operator, word, is_set = word[:1], word[1:], bool(value)
    if operator == "+":
        return interpolate(word, variables) if is_set else ""
    if operator == "-" and not is_set:
        return interpolate(word, variables)
    return value or ""


def variables_in(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a file `.env` sets, and those of the environment, which win.

    Source: https://docs.docker.com/compose/environment-variables/env-file/. Values of several lines are not understood.
    """
    variables = dict(environment)
    for line in text.splitlines():
        assignment = _ASSIGNMENT.fullmatch(line.strip())
        if assignment is None or assignment[1] in environment:
            continue
        value = assignment[2]
        if quoted := _QUOTED.match(value):
            single, double = quoted.groups()
            variables[assignment[1]] = interpolate(double, variables) if single is None else single
        else:
            variables[assignment[1]] = interpolate(_COMMENT.sub("", value).strip(), variables)
    return variables
