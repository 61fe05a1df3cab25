"""Writes the man pages from docs/commands.md: svc-trace(1), and one page for each command, such as svc-trace-run(1).

scripts/build_native.py calls it for each build: `manual.py DIRECTORY`. It writes what the man-pages project recommends
(man-pages(7)) with the macros of man(7). A row of a table becomes a paragraph with a tag: the last column is its text.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode as Node

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "docs" / "commands.md"
SPECIAL: Final = {"\\": r"\e", "`": r"\(ga", "'": r"\(aq", "^": r"\(ha", "~": r"\(ti", "-": r"\-"}
"""ASCII that roff prints as other characters, and how it prints the character itself."""
FONTS: Final = {"code_inline": "B", "strong": "B", "em": "I"}


def main(directory: Path) -> None:
    """Write all pages into a directory, which is created, and print their paths."""
    head, *sections = re.split(r"^## ", SOURCE.read_text().partition("\n")[2], flags=re.MULTILINE)
    parts = {"svc-trace": head}
    for section in sections:
        if command := re.match(r"`(svc-trace [a-z-]+)`\n", section):
            parts[command[1].replace(" ", "-")] = section[command.end() :]
        else:
            parts["svc-trace"] += f"## {section}"
    places = dict(zip(parts, parts, strict=True))
    for name, part in parts.items():
        places |= {slug(heading): name for heading in re.findall(r"^##+ (.*)$", part, re.MULTILINE)}
    directory.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        others = ["svc-trace"] if name != "svc-trace" else [other for other in parts if other != name]
        partial = directory / f"{name}.{os.getpid()}"
        partial.write_text(Manual(name, others, places).page(part))
        print(partial.replace(directory / f"{name}.1"))  # at once: another build may be reading it


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Manual:
    """A page, the pages that it names at its end, and where each anchor of the Markdown is."""

    name: str
    others: Sequence[str]
    places: Mapping[str, str]

    def page(self, text: str) -> str:
        """The conventional sections around the text. It may begin with examples; its first sentence is the summary."""
        blocks = Node(MarkdownIt("commonmark").enable("table").parse(text)).children
        calls = [*self.blocks([block for block in blocks[:1] if block.type == "fence"])]
        blocks = blocks[1:] if calls else blocks
        version = re.findall(r'^__version__ = "(.*)"', (ROOT / "tracer" / "__init__.py").read_text(), re.MULTILINE)[0]
        date = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", SOURCE.stat().st_mtime)), UTC).date()
        head = [f'.TH "{self.name.upper()}" "1" "{date}" "svc-trace {version}" "svc-trace"', ".nh", ".ad l"]
        if self.name == "svc-trace":
            summary = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["description"]
            synopsis, examples = calls, []
        else:
            summary = plain(next(block for block in blocks if block.type == "paragraph"))
            synopsis = [rf"\fB{escaped(self.name.replace('-trace-', '-trace '))}\fR [OPTIONS] ARGUMENTS"]
            examples = [".SH EXAMPLES", *calls] if calls else []
        summary = re.split(r"\. |\.$", summary[0].lower() + summary[1:])[0]
        lines = (
            *(*head, ".SH NAME", rf"{escaped(self.name)} \- {escaped(summary)}", ".SH SYNOPSIS", *synopsis),
            *(".SH DESCRIPTION", *self.blocks(blocks), *examples),
            *(".SH SEE ALSO", ", ".join(rf"\fB{escaped(other)}\fR(1)" for other in self.others)),
        )
        return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", "\n".join(lines) + "\n", flags=re.MULTILINE)

    def blocks(self, blocks: Sequence[Node]) -> Iterator[str]:
        """The lines of paragraphs, tables and so on."""
        for number, block in enumerate(blocks):
            match block.type:
                case "heading":
                    yield (
                        f".SH {escaped(plain(block).upper())}" if block.tag == "h2" else f".SS {escaped(plain(block))}"
                    )
                case "paragraph":
                    yield from (".PP", self.line(block))
                case "fence":
                    yield from (".PP", ".RS 4", ".EX", *map(escaped, block.content.splitlines()), ".EE", ".RE")
                case "bullet_list" | "ordered_list":
                    for first, *rest in (item.children for item in block.children):
                        yield from (".IP \\(bu 2", self.line(first), *self.blocks(rest))
                case "table":
                    header, rows = block.children
                    options = plain(header).startswith("option")
                    if options:
                        yield ".SH OPTIONS"
                    for *tags, text in (row.children for row in rows.children):
                        yield from (".TP", " ".join(filter(None, map(self.line, tags))), self.line(text))
                    if options and blocks[number + 1 :]:
                        yield ".SH NOTES"

    def line(self, node: Node) -> str:
        """A paragraph or a cell in one line."""
        return protected("".join(self.inline(child) for inline in node.children for child in inline.children))

    def inline(self, node: Node) -> str:
        """A part of a line. After a link to another place of the manual stands its page; other links are text."""
        text = "".join(map(self.inline, node.children)) or escaped(node.content)
        if node.type == "softbreak":
            return " "
        if node.type == "link":
            target = str(node.attrs["href"])
            page = self.places.get(target.removeprefix("#"), self.name) if target.startswith("#") else self.name
            return text if page == self.name else rf"{text} (\fB{escaped(page)}\fR(1))"
        return rf"\f{FONTS[node.type]}{text}\fR" if node.type in FONTS else text


def plain(node: Node) -> str:
    """The text of a node, in one line."""
    return "".join(" " if one.type == "softbreak" else one.content for one in node.walk() if not one.children)


def escaped(text: str) -> str:
    """Text that roff prints as it is."""
    return protected("".join(SPECIAL.get(one) or (one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text))


def protected(line: str) -> str:
    """A line that roff does not take for a request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    main(Path(sys.argv[1]))
