"""What a test inherits evidence from."""

from __future__ import annotations

from typing import Any, Literal


class Via(str):
    """What a test inherits evidence from: its text, and the text's parts.

    Attributes:
        kind: `fixture` or `module`.
        name: of the fixture; the path of the module.
        baseid: of a fixture, the node id of the place that defines it; empty for plugins and the rootdir's conftest.
    """

    __slots__ = ("baseid", "kind", "name")

    kind: Literal["fixture", "module"]
    name: str
    baseid: str

    def __new__(cls, kind: Literal["fixture", "module"], name: str, baseid: str = "") -> Via:
        """Make the text of the parts: `fixture:<name>@<baseid>` or `module:<path>`."""
        self = super().__new__(cls, f"fixture:{name}@{baseid}" if kind == "fixture" else f"module:{name}")
        self.kind, self.name, self.baseid = kind, name, baseid
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # for copies
        return Via, (self.kind, self.name, self.baseid)

    @classmethod
    def parse(cls, text: str) -> Via:
        """The value whose text this is.

        Raises:
            ValueError: the text is neither that of a fixture nor that of a module.
        """
        kind, _, rest = text.partition(":")
        if kind == "module":
            return cls("module", rest)
        if kind != "fixture":
            raise ValueError(f"neither a fixture nor a module: {text!r:.40}")
        name, _, baseid = rest.partition("@")
        return cls("fixture", name, baseid)
