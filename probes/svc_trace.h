/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The layout of what the probes tell the tracer: the one definition, which every backend's probe includes and
 * which tracer/record/capture/wire.py mirrors (a test holds the two together through the object's BTF).
 *
 * All integers are in host byte order, ports too. Addresses are in network byte order. Times are
 * CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns). No struct has implicit padding.
 */
#ifndef SVC_TRACE_H
#define SVC_TRACE_H

#define SVC_HEAD_LEN 8 /* bytes of every send: enough for the request kind of framed protocols */
#define SVC_PREFIX_LEN 32 /* bytes of a socket's first sends: enough to tell the protocol */
#define SVC_PREFIXES 4 /* how many first sends of a socket carry a prefix */
#define SVC_PATH_LEN 108 /* sizeof(sockaddr_un.sun_path) */
#define SVC_COMM_LEN 16 /* TASK_COMM_LEN */
#define SVC_TALLIES 65536 /* a power of two: sockets whose sends are counted in place at a time */

enum svc_kind {
	SVC_FORK = 1, /* svc_task_event: a process of the tree was born */
	SVC_EXEC, /* svc_task_event: a process runs another program */
	SVC_EXIT, /* svc_task_event: the last thread of a process ended; result is the wait status */
	SVC_THREAD, /* svc_task_event: a thread is about to be named in socket events for the first time */
	SVC_CONNECT, /* a TCP connection attempt began */
	SVC_CONNECT_RESULT, /* svc_socket_event: an attempt ended; result is 0 or -errno */
	SVC_SEND, /* svc_socket_event: a send ended; result is its bytes or -errno */
	SVC_LISTEN, /* svc_socket_event: a socket can be reached at its own address, in place of the peer's */
	SVC_LISTEN_END, /* svc_socket_event: it no longer can; of TCP only */
};

enum svc_flag {
	SVC_DETAIL = 1, /* the record is a svc_socket_event, not a bare svc_event */
	SVC_WHOLE = 2, /* a connect result that no SVC_CONNECT announced */
	SVC_LOCAL = 4, /* the peer's address is this machine's: it is the socket's own too */
};

/* Every record begins with this. */
struct svc_event {
	__u64 ns; /* when it happened */
	__u64 socket; /* inode number of the socket, as in /proc/PID/fd; 0 if it has none */
	__s32 result; /* by kind, above */
	__u32 process; /* serial number of the process: never reused in a run; 1 is the command */
	__u32 tid; /* thread, in the process's own pid namespace */
	__u32 network; /* inode number of the socket's network namespace */
	__u8 peer[16]; /* AF_INET: 4 bytes, the rest 0; AF_INET6: 16 bytes; else 0 */
	__u8 head[SVC_HEAD_LEN]; /* the first bytes of the send */
	__u16 port; /* of the peer; 0 for unix sockets */
	__u16 protocol; /* IPPROTO_*; 0 for unix sockets */
	__u8 kind; /* enum svc_kind */
	__u8 family; /* AF_UNIX, AF_INET or AF_INET6; 0 for task events */
	__u8 flags; /* enum svc_flag */
	__u8 head_len; /* bytes of head that are set */
	__u32 tally; /* SVC_SEND: serial number of the tally that counts the sends after this one; 0: none does */
	__u32 pid_generation; /* of the process of a task event or of peer_pid: see pid_generation() */
};
_Static_assert(sizeof(struct svc_event) == 72, "svc_event has 72 bytes");

/*
 * The sends of one thread on one socket after the first of them in an epoch: counted in place, in memory that the
 * tracer reads as it is. An epoch lasts from one boundary of the tree's hooks to the next, so a tally lies in one span.
 */
struct svc_tally {
	__u64 last_ns; /* the newest send */
	__u64 bytes;
	__u32 sends;
	__u32 epoch; /* in which it began; the tally is final when another one runs */
};
_Static_assert(sizeof(struct svc_tally) == 24, "svc_tally has 24 bytes");

/* The probes' variables, in memory that the tracer shares. */
struct svc_control {
	__u64 fifo; /* inode number of the hook's FIFO, set by the tracer: a write to it begins an epoch */
	__u32 epoch; /* of the tree; the first is 1 */
	__u32 last_process; /* serial number of the process that was born last; 1 is the command */
	__u32 last_tally; /* serial number of the tally that began last */
	__u32 reserved; /* 0 */
};
_Static_assert(sizeof(struct svc_control) == 24, "svc_control has 24 bytes");

struct svc_socket_event {
	struct svc_event event;
	__u64 since_ns; /* SVC_CONNECT_RESULT: when the attempt began; else 0 */
	__u32 peer_pid; /* unix: pid of the listener in the initial pid namespace; 0 if unknown */
	__u16 path_len; /* bytes of path that are set; an abstract name's leading NUL counts */
	__u8 prefix_len; /* bytes of prefix that are set */
	__u8 reserved; /* 0 */
	__u8 prefix[SVC_PREFIX_LEN]; /* the first bytes of one of the socket's first sends */
	__u8 path[SVC_PATH_LEN]; /* unix: the peer's name, as its server bound it; else as the client gave it */
	__u8 padding[4]; /* 0 */
};
_Static_assert(sizeof(struct svc_socket_event) == 72 + 160, "svc_socket_event has 232 bytes");

struct svc_task_event {
	struct svc_event event; /* tid: the thread; for SVC_FORK the new process's first */
	__u64 start_ns; /* when the task was created */
	__u64 lineage_ns; /* when its line began: see svc_task */
	__u32 parent; /* SVC_FORK: serial number of the forking process; else 0 */
	__u32 host_pid; /* in the initial pid namespace */
	__u32 pid; /* in the process's own pid namespace */
	__u32 pidns; /* inode number of that namespace */
	__u8 comm[SVC_COMM_LEN]; /* NUL-terminated */
};
_Static_assert(sizeof(struct svc_task_event) == 72 + 48, "svc_task_event has 120 bytes");

/* What a send was given. Pointers are the sender's own; they were readable a moment ago. */
struct send_args {
	__u64 data; /* 0: not a call whose bytes can be read (sendfile, splice, io_uring) */
	__u64 len;
	__u64 name; /* the destination's sockaddr; 0: none */
	__u32 name_len;
	__u32 reserved; /* 0 */
};

/* What the kernel keeps for each thread of the tree, and what the tracer writes to plant its root. */
struct svc_task {
	__u32 process; /* serial number of its process */
	__u32 tid; /* in its process's own pid namespace */
	__u32 message; /* index of the message within a running sendmmsg */
	__u8 announced; /* SVC_THREAD was delivered */
	__u8 connecting; /* in a connect: 1: SVC_CONNECT was told; 2: and it failed before its first packet */
	__u8 runner; /* it has told a boundary: what it sends is its span's, whatever the bytes */
	__u8 reserved; /* 0 */
	__u32 ended; /* of a process's first thread: how many threads saw the last one go */
	__u32 padding; /* 0 */
	/*
	 * When its line began: birth of the eldest of its forebears, tasks that started one another, up to the one
	 * that a runner started; 0: the command, or unknown
	 */
	__u64 lineage_ns;
	__u64 sending; /* the socket of a running send whose end a kprobe has to tell; else 0 */
	/* Of the running send. Here and not on the stack, where the verifier would follow each value. */
	struct send_args args;
};
_Static_assert(sizeof(struct svc_task) == 72, "svc_task has 72 bytes");

/* What the kernel keeps for each socket: what its life so far means for its next event. */
struct svc_socket {
	__u64 since_ns; /* when the running attempt to connect began; 0: none is running */
	__u64 inode; /* as in svc_event.socket: a socket that is being closed has lost it */
	__u32 process; /* who began the attempt */
	__u32 tid;
	__u32 tally; /* serial number of the tally that counts its sends */
	__u32 tally_epoch; /* the epoch in which that is so; 0: never */
	__u32 tally_process; /* whose sends it counts */
	__u32 tally_tid;
	__u64 tally_peer; /* to whom, if the socket is no stream */
	__u8 tally_head[SVC_HEAD_LEN]; /* the send that the tally began with */
	__u8 prefixes; /* how many prefixes were told */
	__u8 accepted; /* the other side connected: the tree acts as a server here */
	__u8 named; /* datagrams: its own address was told, to which the answers come */
	__u8 reserved[5];
};

#endif
