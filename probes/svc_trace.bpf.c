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
#include "svc_trace.h"
#include "syscall_args.h"
#include "tasks.h"
#include "sockets.h"
#include "tallies.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Keep the records' types in the object's BTF, for the test that holds wire.py and protocol.py against them. */
const struct svc_socket_event *unused_socket_event __attribute__((unused));
const struct svc_task_event *unused_task_event __attribute__((unused));
const enum svc_kind *unused_kind __attribute__((unused));
const enum svc_flag *unused_flag __attribute__((unused));

/* ------------------------------------------------------------------------------------------------ tasks */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct svc_task *from = bpf_task_storage_get(&tasks, parent, 0, 0);
	struct svc_task born = {};
	__u32 pidns;

	if (!from)
		return 0;
	born.process = from->process;
	if (child->pid == child->tgid)
		born.process = __sync_fetch_and_add(&control.last_process, 1) + 1;
	born.line_ns = from->runner || !from->line_ns ? child->start_time : from->line_ns;
	read_pid(child, &born.tid, &pidns);
	if (!bpf_task_storage_get(&tasks, child, &born, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		count_lost();
		return 0;
	}
	if (born.process != from->process)
		tell_task(SVC_FORK, child, born.process, from->process, 0, born.line_ns);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	struct svc_task *self = bpf_task_storage_get(&tasks, task, 0, 0);
	__u32 pidns;

	if (!self)
		return 0;
	read_pid(task, &self->tid, &pidns); /* exec in a thread makes it the leader, with its pid */
	self->announced = 0;
	tell_task(SVC_EXEC, task, self->process, 0, 0, self->line_ns);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct svc_task *self = bpf_task_storage_get(&tasks, task, 0, 0);
	struct svc_task *first;

	/*
	 * do_exit() counts the thread out of signal->live before this tracepoint: of threads that end at the same time,
	 * several may see that none is left.
	 */
	if (!self || task->signal->live.counter)
		return 0;
	first = bpf_task_storage_get(&tasks, task->group_leader, 0, 0);
	if (first && __sync_fetch_and_add(&first->ended, 1) == 0)
		tell_task(SVC_EXIT, task, self->process, 0, task->exit_code, self->line_ns);
	return 0;
}

/* ------------------------------------------------------------------------------------------------ sends */

/* The name of a unix socket's peer; NULL if it has none: a socketpair, or the accepting side of a connection. */
static __always_inline struct unix_address *peer_name(const struct sock *sk)
{
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	struct unix_address *name = peer ? BPF_CORE_READ((struct unix_sock *)peer, addr) : NULL;

	return name_len(name) ? name : NULL;
}

/*
 * Whether a unix socket is the accepting side of a connection, although its client has a name too: it shares its own
 * with the listener (unix_stream_connect). After the listener is gone, that shows only while another shares it.
 */
static __always_inline bool shares_its_name(const struct sock *sk)
{
	struct unix_address *own = BPF_CORE_READ((struct unix_sock *)sk, addr);

	return own && BPF_CORE_READ(own, refcnt.refs.counter) > 1;
}

/* A socket can be reached, or no longer: TCP listens; a datagram socket only needs a name. */
static __always_inline void tell_listen(const struct sock *sk, __u8 kind, const struct svc_task *self)
{
	struct svc_socket_event *record = reserve(sizeof(*record));

	if (!record)
		return;
	set_origin(&record->event, kind, self);
	set_socket(&record->event, sk);
	record->event.flags = SVC_DETAIL;
	if (record->event.family == AF_UNIX)
		set_path(record, BPF_CORE_READ((struct unix_sock *)sk, addr));
	else
		set_own(&record->event, sk);
	submit(record);
}

static __always_inline void tell_send(const struct sock *sk, int sent, struct svc_task *self, struct svc_socket *entry)
{
	const struct send_args *args = &self->args;
	const void *destination = (const void *)args->name;
	bool is_unix = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX;
	struct unix_address *name = is_unix ? peer_name(sk) : NULL;
	struct svc_socket_event *record;
	bool may_be_answered = false;

	if (is_unix && ((!name && !destination) || (sk->sk_type != SOCK_DGRAM && shares_its_name(sk))))
		return;
	record = reserve(sizeof(*record));
	if (!record)
		return;
	set_origin(&record->event, SVC_SEND, self);
	set_socket(&record->event, sk);
	record->event.flags = SVC_DETAIL;
	record->event.result = sent;
	record->event.head_len = read_data(record->event.head, SVC_HEAD_LEN, args, sent);
	if (is_unix) {
		if (destination)
			set_path_from_user(record, destination, args->name_len);
		else
			set_path(record, name);
		set_listener(record, sk);
	} else {
		set_peer(&record->event, sk);
		if (record->event.protocol == IPPROTO_TCP ||
		    !set_peer_from_user(&record->event, destination, args->name_len)) {
			if (sent < 0 && !record->event.port) {
				/* There was no peer: never connected, or the attempt failed and has been told. */
				bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
				return;
			}
			record->event.flags |= local_flag(sk);
		}
		may_be_answered =
			record->event.protocol == IPPROTO_UDP && sent >= 0 && !entry->named && is_local(&record->event);
	}
	if (entry->prefixes < SVC_PREFIXES) {
		record->prefix_len = read_data(record->prefix, SVC_PREFIX_LEN, args, sent);
		entry->prefixes++;
	} else {
		begin_tally(&record->event, sk, entry, args);
	}
	submit(record);
	if (may_be_answered) {
		entry->named = 1;
		tell_listen(sk, SVC_LISTEN, self); /* somebody on this machine may answer to this port */
	}
}

/*
 * Fires at the end of every send on a socket, in the sender's context, whatever the call was: send*, write*,
 * sendfile, splice, io_uring (net/socket.c, since 6.3).
 */
SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_send, struct sock *sk, int sent)
{
	struct svc_task *self = current_task();
	struct svc_socket *entry;
	struct pt_regs *regs;
	__u16 family;

	if (!self || sent == -EAGAIN || (sent == 0 && sk->sk_type == SOCK_STREAM)) /* no room; nothing to send */
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	entry = socket_entry(sk);
	if (!entry || entry->accepted)
		return 0;
	self->args.name = 0;
	/* The one case in which what the call was given does not matter, and by far the most common. */
	if (sk->sk_type == SOCK_STREAM && self->runner && count_send(sk, entry, self, sent))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	read_send_args(&self->args, regs, self->message);
	if (syscall_number(regs) == NR_sendmmsg)
		self->message++; /* until its exit */
	if (count_send(sk, entry, self, sent))
		return 0;
	announce(self);
	tell_send(sk, sent, self, entry);
	return 0;
}

static __always_inline void tell_tcp_connect(const struct sock *sk)
{
	struct svc_task *self = current_task();
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
	/* io_uring and MSG_FASTOPEN connect in other calls, whose exits nobody looks at. */
	self->connecting = syscall_number((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf())) == NR_connect;
	submit(event);
}

/* In any task's context: the result of a non-blocking connect comes with the peer's packet. */
static __always_inline void tell_tcp_result(const struct sock *sk, int newstate)
{
	struct svc_socket *entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
	struct svc_task *self = current_task();
	struct svc_socket_event *record;
	int error;

	if (!entry || !entry->since_ns)
		return;
	if (newstate == TCP_CLOSE && !BPF_CORE_READ(sk, sk_err) && self && self->connecting &&
	    self->process == entry->process && self->tid == entry->tid) {
		self->connecting = 2; /* its exit knows the error */
		entry->since_ns = 0;
		return;
	}
	record = reserve(sizeof(*record));
	if (record) {
		set_socket(&record->event, sk);
		set_peer(&record->event, sk);
		record->event.ns = bpf_ktime_get_ns();
		record->event.kind = SVC_CONNECT_RESULT;
		record->event.flags = SVC_DETAIL;
		record->event.socket = entry->inode;
		record->event.process = entry->process;
		record->event.tid = entry->tid;
		if (newstate != TCP_ESTABLISHED) {
			error = BPF_CORE_READ(sk, sk_err);
			record->event.result = error ? -error : -ECANCELED; /* closed before there was a result */
		}
		record->since_ns = entry->since_ns;
		submit(record);
	}
	entry->since_ns = 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int oldstate, int newstate)
{
	struct svc_socket *entry;
	struct svc_task *self;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		tell_tcp_connect(sk);
	} else if (newstate == TCP_LISTEN || (oldstate == TCP_LISTEN && newstate == TCP_CLOSE)) {
		/* Not from LISTEN to SYN_RECV: that is an accepted socket, which begins as a copy of its listener. */
		self = current_task();
		if (self)
			tell_listen(sk, newstate == TCP_LISTEN ? SVC_LISTEN : SVC_LISTEN_END, self);
	} else if (oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV) {
		/* SYN_RECV without an attempt of our own is a connection that somebody else opened. */
		entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
		if (entry && entry->since_ns) {
			if (newstate == TCP_ESTABLISHED || newstate == TCP_CLOSE)
				tell_tcp_result(sk, newstate);
		} else if (oldstate == TCP_SYN_RECV && newstate == TCP_ESTABLISHED) {
			entry = socket_entry(sk);
			if (entry)
				entry->accepted = 1;
		}
	}
	return 0;
}

/* The file behind a descriptor of the running task; NULL if there is none. */
static __always_inline struct file *file_of_fd(__u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

static __always_inline struct sock *sock_of_fd(__u32 fd)
{
	struct socket *socket = BPF_CORE_READ(file_of_fd(fd), private_data);

	return BPF_CORE_READ(socket, sk);
}

/* A connect whose attempt no TCP state told: unix, UDP, or TCP that failed before its first packet. */
static __always_inline void tell_connect(const struct pt_regs *regs, long result, struct svc_task *self, __u8 flags)
{
	struct sock *sk = sock_of_fd(ARG1(regs));
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
		return; /* the end of an attempt that an earlier, interrupted call began */
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
		/* As its server bound it, like the sends: what the client was given may be relative, or a link. */
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
			/* Nobody's address, or AF_UNSPEC, which dissolves an association. */
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
			return;
		}
	}
	submit(record);
}

/* A socket got a name. For datagrams that is all that others need to reach it. */
static __always_inline void tell_bind(const struct pt_regs *regs, const struct svc_task *self)
{
	struct sock *sk = sock_of_fd(ARG1(regs));
	__u16 family;

	if (!sk || BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM)
		return;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_UNIX || family == AF_INET || family == AF_INET6)
		tell_listen(sk, SVC_LISTEN, self);
}

/* A hook's boundary begins an epoch before its thread does anything more. */
static __always_inline void note_boundary(const struct pt_regs *regs, struct svc_task *self)
{
	if (BPF_CORE_READ(file_of_fd(ARG1(regs)), f_inode, i_ino) != control.fifo)
		return;
	__sync_fetch_and_add(&control.epoch, 1);
	self->runner = 1;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	long number = syscall_number(regs);
	struct svc_task *self;
	__u8 told;

	if (number != NR_write && number != NR_connect && number != NR_sendmmsg && number != NR_bind)
		return 0;
	self = current_task();
	if (!self)
		return 0;
	self->message = 0;
	if (number == NR_write)
		note_boundary(regs, self);
	if (number == NR_bind && result == 0)
		tell_bind(regs, self);
	if (number != NR_connect)
		return 0;
	told = self->connecting;
	self->connecting = 0;
	if (told == 1 || result == -EINPROGRESS || result == -EALREADY || result == -EISCONN || result == -ENOTSOCK ||
	    (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK))
		return 0;
	tell_connect(regs, result, self, told ? SVC_DETAIL : SVC_DETAIL | SVC_WHOLE);
	return 0;
}
