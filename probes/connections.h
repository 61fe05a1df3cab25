/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP's changes of state; connects, names and boundaries at the exits of system calls. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "sends.h"

static __always_inline void emit_tcp_connect(const struct sock *sk)
{
	struct svc_task *self = current_entry();
	struct svc_socket *entry;
	struct svc_event *event;

	if (!self)
		return;
	entry = socket_entry(sk);
	if (!entry)
		return;
	announce(self);
	event = reserve(sizeof(*event));
	if (!event)
		return;
	set_origin(event, SVC_CONNECT, self);
	set_socket(event, sk);
	set_peer(event, sk);
	event->flags = local_flag(sk);
	entry->since_ns = event->ns;
	entry->inode = event->socket;
	entry->process = self->process;
	entry->tid = self->tid;
	entry->tally_epoch = 0;
	/* io_uring and MSG_FASTOPEN connect in other calls, whose exits are not observed. */
	self->connecting = syscall_number(current_regs()) == NR_connect;
	submit(event);
}

/* In the context of any task: the peer's packet brings the result of a non-blocking connect. */
static __always_inline void emit_tcp_result(const struct sock *sk, struct svc_socket *entry, int result)
{
	struct svc_socket_event *record = reserve(sizeof(*record));

	if (record) {
		set_socket(&record->event, sk);
		set_peer(&record->event, sk);
		record->event.ns = bpf_ktime_get_ns();
		record->event.kind = SVC_CONNECT_RESULT;
		record->event.flags = SVC_DETAIL;
		record->event.result = result;
		record->event.socket = entry->inode;
		record->event.process = entry->process;
		record->event.tid = entry->tid;
		record->event.cause_ns = cause_time(0);
		record->since_ns = entry->since_ns;
		submit(record);
	}
	entry->since_ns = 0;
}

static __always_inline void emit_tcp_failure(const struct sock *sk, struct svc_socket *entry)
{
	struct svc_task *self = current_entry();
	int error = BPF_CORE_READ(sk, sk_err);

	if (!error && self && self->connecting && self->process == entry->process && self->tid == entry->tid) {
		self->connecting = 2; /* the exit of the call has the error */
		entry->since_ns = 0;
		return;
	}
	emit_tcp_result(sk, entry, error ? -error : -ECANCELED); /* closed before the result */
}

/* Changes of state by the running task. */
static __always_inline void on_own_state(const struct sock *sk, int oldstate, int newstate)
{
	struct svc_task *self;

	if (newstate != TCP_SYN_SENT && newstate != TCP_LISTEN && (oldstate != TCP_LISTEN || newstate != TCP_CLOSE))
		return; /* from LISTEN to SYN_RECV is an accepted socket, which begins as a copy of its listener */
	if (newstate == TCP_SYN_SENT) /* the socket before it may have been accepted */
		forget_predecessor(sk);
	if (FIELD(sk, sk_protocol) != IPPROTO_TCP)
		return;
	if (newstate == TCP_SYN_SENT) {
		emit_tcp_connect(sk);
		return;
	}
	self = current_entry();
	if (self)
		emit_listen(sk, newstate == TCP_LISTEN ? SVC_LISTEN : SVC_LISTEN_END, self);
}

/*
 * Changes of state by a packet or a timer, in the context of any task. Two programs call this, and normally the second
 * has nothing to do. The kernel skips a program that is already running on the CPU and was interrupted; it cannot be
 * running both.
 */
static __always_inline void on_peer_state(const struct sock *sk, int oldstate, int newstate)
{
	bool opening = oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV;
	int protocol = FIELD(sk, sk_protocol);
	struct svc_socket *entry;

	/* A copy of a listener (inet_csk_clone_lock, mptcp_sk_clone_init). */
	if (oldstate == TCP_LISTEN && newstate != TCP_CLOSE)
		forget_predecessor(sk);
	if (protocol == IPPROTO_MPTCP && oldstate == TCP_LISTEN && newstate != TCP_CLOSE) {
		/* TCP's states belong to its subflows, other sockets. */
		entry = socket_entry(sk);
		if (entry)
			entry->accepted = 1;
	}
	if (oldstate == TCP_CLOSE || oldstate == TCP_LISTEN || protocol != IPPROTO_TCP)
		return;
	entry = find_socket(sk);
	if (entry && entry->since_ns) {
		/* A connection that leaves a later state was established, although that was missed. */
		if (!opening || newstate == TCP_ESTABLISHED)
			emit_tcp_result(sk, entry, 0);
		else if (newstate == TCP_CLOSE)
			emit_tcp_failure(sk, entry);
	} else if (oldstate == TCP_SYN_RECV && newstate == TCP_ESTABLISHED && (!entry || !entry->process)) {
		/* Without an attempt of the tree, the peer has opened the connection. */
		entry = socket_entry(sk);
		if (entry)
			entry->accepted = 1;
	}
}

/*
 * The file behind a descriptor of the running task; NULL if there is none. Reads, not loads (FIELD): the verifier takes
 * half a millisecond for each load of a pointer.
 */
static __always_inline struct file *file_of_fd(__u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(running_task(), files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

static __always_inline struct sock *sock_of_file(const struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return BPF_CORE_READ(socket, sk);
}

/* A connect without a change of TCP's state: unix, UDP, or TCP that failed before its first packet. */
static __always_inline void emit_connect(const struct pt_regs *regs, const struct sock *sk, long result,
					 struct svc_task *self, __u8 flags)
{
	const void *name = (const void *)ARG2(regs);
	struct svc_socket_event *record;
	struct unix_address *bound;
	__u16 family;

	if (!sk)
		return;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
		return;
	if (family != AF_UNIX && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP && result == 0)
		return; /* the end of an attempt by an earlier, interrupted call */
	announce(self);
	record = reserve(sizeof(*record));
	if (!record)
		return;
	set_origin(&record->event, SVC_CONNECT_RESULT, self);
	set_socket(&record->event, sk);
	record->event.flags = flags | (family != AF_UNIX && result == 0 ? local_flag(sk) : 0);
	record->event.result = result;
	record->since_ns = record->event.ns;
	if (family == AF_UNIX) {
		/* As its server bound it, as for sends: the client's path may be relative, or a link. */
		bound = result == 0 ? peer_name(sk) : NULL;
		if (bound)
			set_path(record, bound);
		else
			set_path_from_user(record, name, ARG3(regs));
		if (result == 0)
			set_listener(record, sk);
	} else {
		family = set_peer_from_user(&record->event, name, ARG3(regs));
		if (family != AF_INET && family != AF_INET6) {
			/* No address, or AF_UNSPEC, which ends an association. */
			discard(record);
			return;
		}
	}
	submit(record);
}

/* A socket got a name. A datagram socket can now be reached. */
static __always_inline void emit_bind(const struct sock *sk, const struct svc_task *self)
{
	__u16 family;

	if (!sk || BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM)
		return;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_UNIX || family == AF_INET || family == AF_INET6)
		emit_listen(sk, SVC_LISTEN, self);
}

/* A write of a boundary begins an epoch, before its thread continues. */
static __always_inline void note_boundary(const struct file *file, struct svc_task *self)
{
	struct svc_control *control = shared();

	if (!control || BPF_CORE_READ(file, f_inode, i_ino) != control->fifo)
		return;
	control->epoch_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&control->epoch, 1);
	self->runner = 1;
}

static __always_inline void on_syscall_exit(const struct pt_regs *regs, long result)
{
	long number = NUMBER(regs);
	struct svc_task *self;
	struct file *file;
	__u8 connecting;

	/* This runs at the end of all system calls of the machine: the most common case first. */
	if (number != NR_write && number != NR_connect && number != NR_sendmmsg && number != NR_bind)
		return;
	if (!is_native(regs))
		return;
	self = current_entry();
	if (!self)
		return;
	self->message = 0;
	if (number == NR_sendmmsg)
		return;
	file = file_of_fd(ARG1(regs));
	if (number == NR_write)
		note_boundary(file, self);
	if (number == NR_bind && result == 0)
		emit_bind(sock_of_file(file), self);
	if (number != NR_connect)
		return;
	connecting = self->connecting;
	self->connecting = 0;
	self->delivering = 0;
	if (connecting == 1 || result == -EINPROGRESS || result == -EALREADY || result == -EISCONN ||
	    result == -ENOTSOCK || (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK))
		return;
	emit_connect(regs, sock_of_file(file), result, self, connecting ? SVC_DETAIL : SVC_DETAIL | SVC_WHOLE);
}

#endif
