// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * svc-trace's probes: what the processes of one tree connect to and send to, as the kernel sees it.
 *
 * A thread is traced when it has an entry in `tasks`. The tracer plants the first one before the command's first
 * instruction; fork hands it on. The entry lives and dies with the kernel's task, so a reused pid starts clean and
 * no map can grow full.
 *
 * Needs: task storage and bpf_task_pt_regs in tracing programs (5.15), the sock_send_length tracepoint (6.3).
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

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Keep the records' types in the object's BTF, for the test that holds wire.py and protocol.py against them. */
const struct svc_socket_event *unused_socket_event __attribute__((unused));
const struct svc_task_event *unused_task_event __attribute__((unused));
const enum svc_kind *unused_kind __attribute__((unused));
const enum svc_flag *unused_flag __attribute__((unused));

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	on_fork(parent, child);
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
 * Fires at the end of every send on a socket, in the sender's context, whatever the call was: send*, write*,
 * sendfile, splice, io_uring (net/socket.c, since 6.3).
 */
SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_send, struct sock *sk, int sent)
{
	on_send(sk, sent);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int oldstate, int newstate)
{
	on_state(sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	on_syscall_exit(regs, syscall_number(regs), result);
	return 0;
}
