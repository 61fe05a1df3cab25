/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The records that the probes emit, and what they keep. tracer/record/capture/bpf/wire.py has a copy of the layouts; a
 * test compares it with the object's BTF.
 *
 * All integers are in host byte order, ports too. Addresses are in network byte order. Times are CLOCK_MONOTONIC
 * nanoseconds (bpf_ktime_get_ns). No struct has implicit padding.
 */
#ifndef SVC_TRACE_H
#define SVC_TRACE_H

#define SVC_HEAD_LEN 16 /* bytes of every SVC_SEND: enough for the kind of message in framed protocols */
#define SVC_PREFIX_LEN 32 /* bytes of a socket's first sends: enough to identify the protocol */
#define SVC_PREFIXES 4 /* how many sends of a socket have a prefix */
#define SVC_DATA_LEN 2048 /* bytes of an SVC_OPENING or SVC_ANSWER: enough for a ClientHello */
#define SVC_BUFFERS 32 /* how many buffers of a send an SVC_OPENING joins: gRPC makes four of each header */
#define SVC_BUFFER_LEN 1024 /* bytes of each of them */
#define SVC_PATH_LEN 108 /* sizeof(sockaddr_un.sun_path) */
#define SVC_COMM_LEN 16 /* TASK_COMM_LEN */
#define SVC_TALLIES 65536 /* a power of two: tallies at a time */
#define SVC_INTERPRETERS 16384 /* a power of two: processes whose Python is known at a time */
#define SVC_UNKNOWN_CAUSE -1 /* a cause_ns: this kernel's wake-ups are not observed */

enum svc_kind {
	SVC_FORK = 1, /* svc_task_event: a process of the tree was born */
	SVC_EXEC, /* svc_task_event: a process runs another program */
	SVC_EXIT, /* svc_task_event: the last thread of a process ended; result is the wait status */
	SVC_THREAD, /* svc_task_event: a thread, before its first socket event */
	SVC_CONNECT, /* a TCP connection attempt began */
	SVC_CONNECT_RESULT, /* svc_socket_event: an attempt ended; result is 0 or -errno */
	SVC_SEND, /* svc_socket_event: a send ended; result is its bytes or -errno */
	SVC_LISTEN, /* svc_socket_event: a socket can be reached; `peer`, `port` and `path` are its own */
	SVC_LISTEN_END, /* svc_socket_event: it cannot be reached any more; TCP only */
	SVC_OPENING, /* svc_data_event: more of a send's first bytes, after its SVC_SEND; TCP only */
	SVC_ANSWER, /* svc_data_event: what a thread read from a name server, or from systemd's resolver */
};

enum svc_flag {
	SVC_DETAIL = 1, /* the record is a svc_socket_event, not a bare svc_event */
	SVC_WHOLE = 2, /* a connect result without an SVC_CONNECT before it */
	SVC_LOCAL = 4, /* the peer has the socket's own address: it is on this machine */
};

/*
 * An interval in which a thread may have found new work without being woken for it, because it did not wait: a runner
 * that gives it work then does not wake it. What such a thread wakes or starts has the same interval.
 */
struct svc_unsure {
	__u64 from_ns; /* when the epoch began in which it last waited */
	__u64 to_ns; /* when the epoch began that was running; 0: none */
};

/* Every record begins with this. */
struct svc_event {
	__u64 ns; /* when it happened */
	__u64 socket; /* inode number of the socket, as in /proc/PID/fd; 0 if it has none */
	__s32 result; /* by kind, above */
	__u32 process; /* serial number, never reused in a run; 1 is the command */
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
	__u32 tally; /* SVC_SEND: serial number of the tally that counts the next sends; 0: none */
	__u32 pid_generation; /* of the process (task events), or of peer_pid: see pid_generation() */
	/*
	 * Of connects and sends: the thread's cause, as in svc_task. The cause of a runner's thread is itself, now.
	 * SVC_UNKNOWN_CAUSE: see svc_control.
	 */
	__s64 cause_ns;
	__u32 cause_process;
	__u32 cause_tid;
	__u64 unsure_from_ns; /* of connects and sends of other threads: svc_unsure */
	__u64 unsure_to_ns;
};
_Static_assert(sizeof(struct svc_event) == 112, "svc_event has 112 bytes");

/*
 * A counter for sends that emit no event: those of one thread on one socket to one peer in one epoch, and, if the
 * thread is no runner's, with the same first bytes and the same cause. The tracer reads the counter's memory. An epoch
 * lasts from one boundary of the tree's hooks to the next, so a tally belongs to one span. All causes that one runner's
 * thread became in the running epoch are the same cause.
 *
 * These sends emit an event: a socket's first SVC_PREFIXES, later the one with which each tally begins, and those that
 * no tally counts (see count_send() and begin_tally()). A socket has one tally at a time.
 */
struct svc_tally {
	__u64 last_ns; /* the newest send */
	__u64 bytes;
	__u32 sends;
	__u32 epoch; /* in which it began; the tally is final in a later epoch */
};
_Static_assert(sizeof(struct svc_tally) == 24, "svc_tally has 24 bytes");

/* The variables that the probes share with the tracer. */
struct svc_control {
	__u64 fifo; /* inode number of the FIFO for boundaries, set by the tracer: a write to it begins an epoch */
	__u64 epoch_ns; /* when the current epoch began; 0: the first */
	__u32 epoch; /* number of the current epoch; the first is 1 */
	__u32 last_process; /* serial number of the newest process; 1 is the command */
	__u32 last_tally; /* serial number of the newest tally */
	__u32 causes; /* 1: wake-ups are observed, as the tracer found out by a trial; set by the tracer */
};
_Static_assert(sizeof(struct svc_control) == 32, "svc_control has 32 bytes");

/* Where the Python of a process has its static data (the symbol _PyRuntime), which contains the interpreter's lock. */
struct svc_interpreter {
	__u32 process; /* serial number of the process; 0: none, or its Python is not known yet */
	__u32 reserved; /* 0 */
	__u64 from; /* the first address */
	__u64 to; /* the first address behind it; 0: the process has no Python */
};
_Static_assert(sizeof(struct svc_interpreter) == 24, "svc_interpreter has 24 bytes");

struct svc_socket_event {
	struct svc_event event;
	__u64 since_ns; /* SVC_CONNECT_RESULT: when the attempt began; else 0 */
	__u32 peer_pid; /* unix: pid of the listener in the initial pid namespace; 0 if unknown */
	__u16 path_len; /* bytes of path that are set; an abstract name's leading NUL counts */
	__u8 prefix_len; /* bytes of prefix that are set */
	__u8 reserved; /* 0 */
	__u8 prefix[SVC_PREFIX_LEN]; /* the first bytes of the send, for the socket's first sends */
	__u8 path[SVC_PATH_LEN]; /* unix: the peer's name as its server bound it, or else as the client passed it */
	__u8 padding[4]; /* 0 */
};
_Static_assert(sizeof(struct svc_socket_event) == 112 + 160, "svc_socket_event has 272 bytes");

/* Bytes that may contain names of hosts. Of sends, those of a socket's first SVC_PREFIXES that exceed their prefix. */
struct svc_data_event {
	struct svc_event event; /* result: the bytes that the thread sent or read */
	__u32 data_len; /* bytes of data that are set; the others have any value */
	__u32 reserved; /* 0 */
	__u8 data[SVC_DATA_LEN];
	__u8 unused[SVC_BUFFER_LEN]; /* where the bytes of the last buffer may end */
};
_Static_assert(sizeof(struct svc_data_event) == 112 + 3080, "svc_data_event has 3192 bytes");

struct svc_task_event {
	struct svc_event event; /* its tid: the thread; SVC_FORK: the first thread of the new process */
	__u64 start_ns; /* when the task was created */
	__u64 lineage_ns; /* see svc_task */
	__u32 parent; /* SVC_FORK: serial number of the forking process; else 0 */
	__u32 host_pid; /* in the initial pid namespace */
	__u32 pid; /* in the process's own pid namespace */
	__u32 pidns; /* inode number of that namespace */
	__u8 comm[SVC_COMM_LEN]; /* NUL-terminated */
};
_Static_assert(sizeof(struct svc_task_event) == 112 + 48, "svc_task_event has 160 bytes");

/* The arguments of a send or a read. Pointers are into the thread's memory. */
struct call_args {
	__u64 data; /* 0: the bytes cannot be read (sendfile, splice, io_uring) */
	__u64 len;
	__u64 name; /* sockaddr of the destination; 0: none */
	__u32 name_len;
	__u32 reserved; /* 0 */
};

/* The entry of each thread of the tree. The tracer inserts the first one. */
struct svc_task {
	__u32 process; /* serial number of its process */
	__u32 tid; /* in its process's own pid namespace */
	__u32 message; /* index of the message within a running sendmmsg */
	__u8 announced; /* SVC_THREAD was delivered */
	__u8 connecting; /* in a connect: 1: SVC_CONNECT was emitted; 2: also, it failed before its first packet */
	__u8 runner; /* it has written a boundary: all its sends belong to its span, whatever their bytes */
	__u8 delivering; /* its running send has reached the peer's socket, on this machine */
	__u32 ended; /* first thread of a process: how many threads found that all had ended */
	__u32 opening; /* bytes of its running send, if an SVC_OPENING follows; else 0 */
	/*
	 * When its lineage began, the chain of tasks that started one another: the start of the oldest task in it that
	 * a runner's thread started; 0: the command, or unknown
	 */
	__u64 lineage_ns;
	/* The socket of a running send: where kprobes observe its end, and while its events are emitted; else 0. */
	__u64 sending;
	__u64 cause_ns; /* when a runner's thread last caused it to run, directly or through others: 0: never */
	__u32 cause_process; /* serial number of that runner */
	__u32 cause_tid; /* that runner's thread, in the runner's own pid namespace */
	__u64 waited_ns; /* when the epoch began in which it last waited, or was born */
	struct svc_unsure unsure; /* of the last thread that woke or started it, if that one was unsure */
	/* Of the running send or read. Not on the stack, where the verifier would track each value. */
	struct call_args args;
};
_Static_assert(sizeof(struct svc_task) == 112, "svc_task has 112 bytes");

/* The entry of each socket. */
struct svc_socket {
	__u64 since_ns; /* when the running attempt to connect began; 0: none is running */
	__u64 inode; /* as svc_event.socket, which is 0 while a socket is being closed */
	__u32 process; /* that began the attempt */
	__u32 tid; /* that began the attempt */
	__u32 tally; /* serial number of the tally of its sends */
	__u32 tally_epoch; /* in which it counts; 0: none does */
	__u32 tally_process; /* whose sends it counts */
	__u32 tally_tid; /* whose sends it counts */
	__u64 tally_peer; /* see current_peer() */
	__u64 tally_cause_ns; /* of its sends' cause: see cause_in_epoch() */
	__u32 tally_cause_process; /* of its sends' cause */
	__u32 tally_cause_tid; /* of its sends' cause */
	__u8 tally_head[SVC_HEAD_LEN]; /* of the send with which the tally began */
	__u8 prefixes; /* how many prefixes were emitted */
	__u8 accepted; /* the peer connected: the tree is the server */
	__u8 named; /* datagrams: an SVC_LISTEN with its own address, for answers, was emitted */
	__u8 tally_unsure; /* whether its sends' cause is unsure: see is_unsure() */
	__u8 resolver; /* the peer is a name server, or systemd's resolver: its answers are emitted */
	__u8 reserved[3]; /* 0 */
};

#endif
