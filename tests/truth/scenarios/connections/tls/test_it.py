import asyncio
import ssl
import subprocess
import sys

from peers import ask, tls, unverified_context

kept = []


def test_wrapped():
    with tls.connect() as sock:
        assert ask(sock, b"secret") == b"secret"


def test_memory_bio():
    """Hello; Finished; the question: three flights of the client, a send each."""
    import socket

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = unverified_context().wrap_bio(incoming, outgoing)
    with socket.create_connection(tls.address) as sock:

        def until_it_has(step, *arguments):
            while True:
                try:
                    result = step(*arguments)
                except ssl.SSLWantReadError:
                    result = None
                if outgoing.pending:
                    sock.sendall(outgoing.read())
                if result is not None:
                    return result
                incoming.write(sock.recv(65536))

        until_it_has(lambda: session.do_handshake() or True)
        until_it_has(session.write, b"secret")
        assert until_it_has(session.read, 6) == b"secret"


def test_asyncio():
    async def converse():
        reader, writer = await asyncio.open_connection(*tls.address, ssl=unverified_context())
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        writer.transport.abort()

    asyncio.run(converse())


def test_opens():
    kept.append(tls.connect())


def test_uses():
    with kept.pop() as sock:
        ask(sock)


def test_uses_in_a_child():
    subprocess.run([sys.executable, "-c", "from peers import tls; tls.ask()"], check=True)
