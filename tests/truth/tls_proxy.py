"""Ends TLS in front of other servers.

`python tls_proxy.py CERTIFICATE KEY HOST:PORT … --kafka HOST:PORT …` prints one line of JSON, address of a server →
address at which it is reached over TLS, and serves until its stdin ends. Kafka's brokers name one another: what they
send has these addresses of the proxy instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Final

HOST: Final = "127.0.0.1"

Parts = Callable[[StreamReader], AsyncIterator[bytes]]


async def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("servers", nargs="+")
    parser.add_argument("--kafka", nargs="*", default=[])
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)

    async def start(server: str, parts: Parts) -> str:
        listener = await asyncio.start_server(partial(forward, server, parts), HOST, 0, ssl=context)
        return f"{HOST}:{listener.sockets[0].getsockname()[1]}"

    names: dict[bytes, bytes] = {}
    addresses = {server: await start(server, chunks) for server in options.servers}
    addresses |= {broker: await start(broker, partial(kafka_messages, names=names)) for broker in options.kafka}
    names.update({in_message(broker): in_message(addresses[broker]) for broker in options.kafka})
    print(json.dumps(addresses), flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


async def forward(server: str, parts: Parts, from_client: StreamReader, to_client: StreamWriter) -> None:
    """Forward both directions of a connection until one side closes it."""
    host, _, port = server.rpartition(":")
    from_server, to_server = await asyncio.open_connection(host, int(port))

    async def copy(source: AsyncIterator[bytes], sink: StreamWriter) -> None:
        with suppress(OSError, EOFError):
            async for part in source:
                sink.write(part)
                await sink.drain()
        sink.close()

    await asyncio.gather(copy(chunks(from_client), to_server), copy(parts(from_server), to_client))


async def chunks(stream: StreamReader) -> AsyncIterator[bytes]:
    """What arrives, as it arrives."""
    while data := await stream.read(65536):
        yield data


async def kafka_messages(stream: StreamReader, names: dict[bytes, bytes]) -> AsyncIterator[bytes]:
    """Kafka's messages, with other addresses of the same length."""
    while True:
        size = await stream.readexactly(4)
        message = await stream.readexactly(int.from_bytes(size))
        for name, other in names.items():
            message = message.replace(name, other)
        yield size + message


def in_message(address: str) -> bytes:
    """A broker's address in a message: the host, and the port as a 32-bit number."""
    host, _, port = address.rpartition(":")
    return host.encode() + int(port).to_bytes(4)


if __name__ == "__main__":
    asyncio.run(main())
