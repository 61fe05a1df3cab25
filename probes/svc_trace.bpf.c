// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * svc-trace's probes for libbpf: they emit events when a process of one tree connects, sends or listens.
 *
 * A thread is traced if it has an entry in `tasks`. The tracer inserts the first one before the command's first
 * instruction; fork copies it. The kernel deletes the entry with the task, so a reused pid has none and the map cannot
 * become full.
 *
 * Needs task storage in tracing programs (Linux 5.13). The loader selects the programs for sends that the kernel can
 * run.
 */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "storage.h"
#include "processes.h"
#include "sends.h"
#include "connections.h"
#include "send_functions.h"
#include "causes.h"
#include "receives.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Keep the records' types in the object's BTF: a test compares wire.py and protocol.py with them. */
const struct svc_socket_event *unused_socket_event __attribute__((unused));
const struct svc_data_event *unused_data_event __attribute__((unused));
const struct svc_task_event *unused_task_event __attribute__((unused));
const struct svc_interpreter *unused_interpreter __attribute__((unused));
const enum svc_kind *unused_kind __attribute__((unused));
const enum svc_flag *unused_flag __attribute__((unused));

/* Not sched_process_fork: the kernel creates the workers of an io_uring without it (create_io_thread). */
SEC("tp_btf/task_newtask")
int BPF_PROG(process_fork, struct task_struct *child)
{
	on_fork(running_task(), child);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	on_exec(task);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	on_exit(task);
	return 0;
}

/*
 * The end of every send on a socket, in the sender's context, by whatever call: send*, write*, sendfile, splice,
 * io_uring (net/socket.c, since 6.3).
 */
SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_send, struct sock *sk, int sent)
{
	on_send(sk, sent);
	return 0;
}

/*
 * Without that tracepoint, the ends of the functions that send: by fexit, one program for each, or else by kprobes,
 * where all ends share one program.
 */
static __noinline int sent(struct socket *socket, int result)
{
	on_send(socket->sk, result);
	return 0;
}

SEC("?kretprobe")
int BPF_KRETPROBE(send_ends, int result)
{
	on_send_ends(result);
	return 0;
}

static __always_inline bool never(const struct sock *sk)
{
	return false;
}

/* The arguments of the functions, between the socket and the result. */
#define SENDMSG void *message, __u64 size
#define SENDPAGE void *page, int offset, __u64 size, int flags

/* `elsewhere(sk)`: whether another one of the functions emits the event. */
#define SEND_FUNCTION(function, elsewhere, ...)                                                                        \
	SEC("?kprobe/" #function) int BPF_KPROBE(function##_begins, struct socket *socket)                             \
	{                                                                                                              \
		struct sock *sk = BPF_CORE_READ(socket, sk);                                                           \
                                                                                                                       \
		if (!elsewhere(sk))                                                                                    \
			on_send_begins(sk);                                                                            \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("?fexit/" #function)                                                                                       \
	int BPF_PROG(function##_ends, struct socket *socket, __VA_ARGS__, int result)                                  \
	{                                                                                                              \
		return elsewhere(socket->sk) ? 0 : sent(socket, result);                                               \
	}

SEND_FUNCTION(inet_sendmsg, never, SENDMSG)
SEND_FUNCTION(inet6_sendmsg, never, SENDMSG)
SEND_FUNCTION(unix_stream_sendmsg, never, SENDMSG)
SEND_FUNCTION(unix_seqpacket_sendmsg, never, SENDMSG)
SEND_FUNCTION(unix_dgram_sendmsg, is_within_seqpacket, SENDMSG)
SEND_FUNCTION(inet_sendpage, leads_to_sendmsg, SENDPAGE)
SEND_FUNCTION(unix_stream_sendpage, never, SENDPAGE)

/* The kernel frees the storages of a socket: the end of its life. */
SEC("?kprobe/bpf_sk_storage_free")
int BPF_KPROBE(socket_freed, struct sock *sk)
{
	__u64 address = (__u64)sk;

	bpf_map_delete_elem(&sockets_by_address, &address);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int oldstate, int newstate)
{
	on_own_state(sk, oldstate, newstate);
	on_peer_state(sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state_again, const struct sock *sk, int oldstate, int newstate)
{
	on_peer_state(sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	if (by_kprobes)
		on_missed_end(regs, result);
	on_syscall_exit(regs, result);
	return 0;
}

/* Optional: Linux 6.3 added the tracepoint. */
SEC("?tp_btf/sock_recv_length")
int BPF_PROG(socket_receive, struct sock *sk, int received)
{
	on_receive(sk, received);
	return 0;
}

/* Optional: the loader leaves these two out if the kernel refuses them. */
SEC("?tp_btf/sched_waking")
int BPF_PROG(waking, struct task_struct *woken)
{
	on_waking(woken);
	return 0;
}

SEC("?tp_btf/sk_data_ready")
int BPF_PROG(data_ready, const struct sock *sk)
{
	on_data_ready(sk);
	return 0;
}
