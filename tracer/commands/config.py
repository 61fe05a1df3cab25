"""`svc-trace config`: the configuration in effect and the origin of each part, or its JSON Schema."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tracer.classify.services.document import SIZE_LIMIT
from tracer.classify.services.lines import lines_in
from tracer.classify.services.schema import configuration_schema
from tracer.commands.configurations import Found, find_configuration
from tracer.commands.elevation import VARIABLE
from tracer.commands.options import config_option
from tracer.record.invoker import Invoker
from tracer.record.names.compose import Published, compose_files, published_in
from tracer.reports.config_document import ConfigDocument, Publication
from tracer.trace.input_file import LIMIT_VARIABLE, opened
from tracer.trace.json_codec import dump

_VARIABLES: Final = (VARIABLE, LIMIT_VARIABLE, "COMPOSE_FILE")
"""Variables that take the place of something that is configured, or found."""


@click.command("config")
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "json"]),
    default="toml",
    show_default=True,
    help="The output's format: toml (a file with the same effect), json (everything, for programs).",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a configuration instead, for editors.")
@click.pass_obj
def command(invoker: Invoker, config: Path | None, form: str, schema: bool) -> int:
    """Print the configuration in effect here, and where each part of it comes from.

    Its parts are built in, or from presets, a file, the environment and Compose files.
    """
    if schema:
        sys.stdout.buffer.write(dump(configuration_schema(), indent=True))
        return 0
    document = _document(find_configuration(config), config is not None, invoker)
    if form == "json":
        sys.stdout.buffer.writelines(document.json())
    else:
        for line in document.toml():
            click.echo(line)
    return 0


def _document(found: Found, given: bool, invoker: Invoker) -> ConfigDocument:
    source, directories = found.config.source, found.searched.directories
    if given:
        searched = "given by --config"
    elif source is not None:
        searched = "the nearest file"
    else:
        searched = f"No svc-trace.toml and no [tool.svc-trace] in {', '.join(map(str, directories))}"
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    published = tuple(_published(Path.cwd(), invoker))
    lines = _lines(Path(source)) if source is not None and Path(source).is_file() else {}  # a pipe is read once
    return ConfigDocument(found.config, searched, environment, published, lines, _shown)


def _lines(file: Path) -> dict[str, int]:
    """The lines of the configuration's parts in a file that was just read."""
    prefix = "tool.svc-trace." if file.name == "pyproject.toml" else ""
    with opened(file, SIZE_LIMIT) as text:
        found = lines_in(text.read().decode())
    return {key.removeprefix(prefix): line for key, line in found.items() if key.startswith(prefix)}


def _published(directory: Path, invoker: Invoker) -> Iterator[Publication]:
    for path, text, variables in compose_files(directory, invoker.environment):
        for one in published_in(text, variables):
            yield Publication(_shown(str(path)), one.service, ports_of(one))


def ports_of(one: Published) -> str:
    """`9201/tcp`, or `8000-8010/udp`."""
    return f"{one.first if one.first == one.last else f'{one.first}-{one.last}'}/{one.protocol}"


def _shown(layer: str) -> str:
    """A path below the working directory as relative to it."""
    path = Path(layer)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else layer
