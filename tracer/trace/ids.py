"""Numbers with different meanings, as different types: mypy rejects one in the place of another."""

from __future__ import annotations

from typing import Final, NewType

ProcessId = NewType("ProcessId", int)
"""Serial number of a process of the traced tree, never reused in a run. 1: the command; 0: none."""
Pid = NewType("Pid", int)
"""A process's pid in its own pid namespace. The kernel reuses it."""
HostPid = NewType("HostPid", int)
"""A process's pid in the initial pid namespace, or in the outermost one that the backend sees. The kernel reuses it."""
PidGeneration = NewType("PidGeneration", int)
"""Differs between processes that had the same host pid; 0: unknown."""
Tid = NewType("Tid", int)
"""A thread's id in its process's own pid namespace. The kernel reuses it."""
PidNamespace = NewType("PidNamespace", int)
"""Inode number of a pid namespace; 0: unknown."""
NetworkNamespace = NewType("NetworkNamespace", int)
"""Inode number of a network namespace; 0: unknown."""
SocketInode = NewType("SocketInode", int)
"""Inode number of a socket, as in /proc/PID/fd and `ss -e`."""
SpanId = NewType("SpanId", int)
"""Id of a span in a trace; 0: none."""
InstanceId = NewType("InstanceId", int)
"""Id of a fixture instance in a trace; 0: none."""
FactsNumber = NewType("FactsNumber", int)
"""Number of static facts in a trace: their position among the records of their type, from 1; 0: lost."""
HookNumber = NewType("HookNumber", int)
"""A number that one pytest process's hook gave to a span, to static facts or to a fixture instance; 0: none."""

NO_PROCESS: Final = ProcessId(0)
NO_SPAN: Final = SpanId(0)
NO_INSTANCE: Final = InstanceId(0)
NO_FACTS: Final = FactsNumber(0)
UNKNOWN_GENERATION: Final = PidGeneration(0)
UNKNOWN_NETWORK: Final = NetworkNamespace(0)
INITIAL_PIDNS: Final = PidNamespace(0xEFFFFFFC)  # PROC_PID_INIT_INO (include/linux/proc_ns.h)
