"""The time between two turns of the recorder."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Self

from tracer.record.boundary.fifo import Fifo
from tracer.record.capture.protocol import SHORTEST_PAUSE_S, Session
from tracer.record.launch import Child

if TYPE_CHECKING:
    from tracer.record.entering.entered import Entered


class Pauses:
    """Waits until both streams should be read again, or the command has ended.

    Much of what a turn costs does not depend on what it finds. So a pause is as long as the session permits, unless the
    hooks have written much. The kernel ends it if the ring buffer fills, or if a process executes a program.
    """

    def __init__(self, child: Child | Entered, session: Session, fifo: Fifo) -> None:
        self._child, self._session, self._fifo = child, session, fifo
        self._epoll: select.epoll | None = None
        if session.ring is not None:
            self._epoll = select.epoll()
            self._ended = child.pidfd()
            self._epoll.register(self._ended, select.EPOLLIN)
            # Edge-triggered: not whenever there is a record, only when the kernel wakes the reader.
            self._epoll.register(session.ring, select.EPOLLIN | select.EPOLLET)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._epoll is not None:
            self._epoll.close()
            os.close(self._ended)

    def wait(self) -> signal.struct_siginfo | None:
        """Wait; return a signal for the command, if one has come."""
        received = self._child.wait(SHORTEST_PAUSE_S)
        left_s = self._session.longest_pause() - SHORTEST_PAUSE_S
        if self._epoll is not None and left_s > 0 and received is None and not self._fifo.is_busy:
            self._epoll.poll(left_s)
        return received
