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

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Keep the records' types in the object's BTF, for the test that holds wire.py and protocol.py against them. */
const struct svc_socket_event *unused_socket_event __attribute__((unused));
const struct svc_task_event *unused_task_event __attribute__((unused));
const enum svc_kind *unused_kind __attribute__((unused));
const enum svc_flag *unused_flag __attribute__((unused));

/* What a socket's life so far means for its next event. */
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
	__u8 reserved[6];
};

/* Task → svc_task. Planted by the tracer for the command, by fork for all others; deleted with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct svc_task);
} tasks SEC(".maps");

/* Socket → svc_socket. Inserted at connect, accept or the first send; deleted with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct svc_socket);
} sockets SEC(".maps");

/* Records for the tracer. The loader sets the size; a record that does not fit is counted in `lost`. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* CPU → events that could not be delivered. The loader sets the size to the number of possible CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Serial number of a tally modulo its size → svc_tally. Written by sends; overwritten when its turn comes again. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SVC_TALLIES);
	__type(key, __u32);
	__type(value, struct svc_tally);
} tallies SEC(".maps");

struct svc_control control = {.epoch = 1, .last_process = 1};

static __always_inline void count_lost(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *count = bpf_map_lookup_elem(&lost, &cpu);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* A record of `size` bytes, all zero; NULL if it has to be counted as lost, which is done. */
static __always_inline void *reserve(__u64 size)
{
	void *record = bpf_ringbuf_reserve(&events, size, 0);

	if (!record) {
		count_lost();
		return NULL;
	}
	__builtin_memset(record, 0, size);
	return record;
}

/* The tracer drains by the clock: waking it for each record would cost the traced thread more than the record. */
static __always_inline void submit(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* ------------------------------------------------------------------------------------------------ tasks */

/* A task's innermost pid number and that namespace's inode number. */
static __always_inline void read_pid(const struct task_struct *task, __u32 *number, __u32 *pidns)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid); /* no `->`: the verifier lets nobody index a typed pointer */
	unsigned int level = BPF_CORE_READ(pid, level);
	const void *upid = (const void *)pid + bpf_core_field_offset(struct pid, numbers) +
			   level * bpf_core_type_size(struct upid);
	struct pid_namespace *ns;

	bpf_probe_read_kernel(number, sizeof(*number), upid + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(&ns, sizeof(ns), upid + bpf_core_field_offset(struct upid, ns));
	*pidns = BPF_CORE_READ(ns, ns.inum);
}

static __always_inline int tell_task(__u8 kind, struct task_struct *task, __u32 process, __u32 parent, __s32 result)
{
	struct svc_task_event *record = reserve(sizeof(*record));
	__u32 ignored;

	if (!record)
		return -1;
	record->event.ns = bpf_ktime_get_ns();
	record->event.kind = kind;
	record->event.process = process;
	record->event.result = result;
	record->parent = parent;
	record->start_ns = task->start_time;
	record->host_pid = task->tgid;
	read_pid(task, &record->event.tid, &ignored);
	read_pid(task->group_leader, &record->pid, &record->pidns);
	bpf_probe_read_kernel_str(record->comm, sizeof(record->comm), task->comm);
	submit(record);
	return 0;
}

/*
 * The running thread's entry; NULL if it is not of the tree. An io_uring worker is a thread that was not forked
 * in the usual way (create_io_thread): it joins its process when first seen.
 */
static __always_inline struct svc_task *current_task(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct svc_task *entry = bpf_task_storage_get(&tasks, task, 0, 0);
	struct svc_task *leader, worker = {};
	__u32 pidns;

	if (entry || !(task->flags & PF_IO_WORKER))
		return entry;
	leader = bpf_task_storage_get(&tasks, task->group_leader, 0, 0);
	if (!leader)
		return NULL;
	worker.process = leader->process;
	read_pid(task, &worker.tid, &pidns);
	entry = bpf_task_storage_get(&tasks, task, &worker, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!entry)
		count_lost();
	return entry;
}

/* Told before the first socket event of a thread, so that the tracer knows its name and age. */
static __always_inline void announce(struct svc_task *self)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!self->announced && tell_task(SVC_THREAD, task, self->process, 0, 0) == 0)
		self->announced = 1;
}

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
	read_pid(child, &born.tid, &pidns);
	if (!bpf_task_storage_get(&tasks, child, &born, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		count_lost();
		return 0;
	}
	if (born.process != from->process)
		tell_task(SVC_FORK, child, born.process, from->process, 0);
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
	tell_task(SVC_EXEC, task, self->process, 0, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct svc_task *self = bpf_task_storage_get(&tasks, task, 0, 0);

	/* do_exit() counts the thread out of signal->live before this tracepoint. */
	if (self && task->signal->live.counter == 0)
		tell_task(SVC_EXIT, task, self->process, 0, task->exit_code);
	return 0;
}

/* ---------------------------------------------------------------------------------------------- sockets */

static __always_inline struct svc_socket *socket_entry(const struct sock *sk)
{
	struct svc_socket *entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!entry)
		count_lost();
	return entry;
}

static __always_inline __u64 inode_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline void set_socket(struct svc_event *event, const struct sock *sk)
{
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	event->network = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->socket = inode_of(sk);
	event->protocol = event->family == AF_UNIX ? 0 : BPF_CORE_READ(sk, sk_protocol);
}

static __always_inline void set_peer(struct svc_event *event, const struct sock *sk)
{
	event->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (event->family == AF_INET)
		BPF_CORE_READ_INTO((__be32 *)event->peer, sk, __sk_common.skc_daddr);
	else if (event->family == AF_INET6)
		BPF_CORE_READ_INTO(&event->peer, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

/*
 * Take the peer from a sockaddr in user space, which decides the family: an AF_INET6 socket of UDP takes AF_INET
 * addresses too. Returns the address family; 0 if there is none.
 */
static __always_inline __u16 set_peer_from_user(struct svc_event *event, const void *name, __u32 len)
{
	struct sockaddr_any address = {};

	if (!name || len < sizeof(address.family) || bpf_probe_read_user(&address.family, sizeof(__u16), name))
		return 0;
	if (address.family == AF_INET && bpf_probe_read_user(&address, 8, name) == 0) {
		__builtin_memset(event->peer, 0, sizeof(event->peer));
		__builtin_memcpy(event->peer, address.in.address, 4);
		event->family = AF_INET;
		event->port = bpf_ntohs(address.in.port);
	} else if (address.family == AF_INET6 && bpf_probe_read_user(&address, 24, name) == 0) {
		__builtin_memcpy(event->peer, address.in6.address, 16);
		event->family = AF_INET6;
		event->port = bpf_ntohs(address.in6.port);
	}
	return address.family;
}

static __always_inline void set_path_from_user(struct svc_socket_event *record, const void *name, __u32 len)
{
	const __u32 before = sizeof(__u16); /* sun_family */

	if (!name || len <= before)
		return;
	len -= before;
	if (len > SVC_PATH_LEN)
		len = SVC_PATH_LEN;
	if (bpf_probe_read_user(record->path, len, name + before) == 0)
		record->path_len = len;
}

static __always_inline __u32 name_len(struct unix_address *address)
{
	__u32 len = address ? BPF_CORE_READ(address, len) : 0;

	return len > sizeof(__u16) ? len - sizeof(__u16) : 0;
}

static __always_inline void set_path(struct svc_socket_event *record, struct unix_address *address)
{
	__u32 len = name_len(address);

	if (len > SVC_PATH_LEN)
		len = SVC_PATH_LEN;
	if (len &&
	    bpf_probe_read_kernel(record->path, len,
				  (void *)address + bpf_core_field_offset(struct unix_address, name[0].sun_path)) == 0)
		record->path_len = len;
}

static __always_inline void set_listener(struct svc_socket_event *record, const struct sock *sk)
{
	struct pid *pid = BPF_CORE_READ(sk, sk_peer_pid);

	if (pid)
		record->peer_pid = BPF_CORE_READ(pid, numbers[0].nr);
}

static __always_inline void set_origin(struct svc_event *event, __u8 kind, const struct svc_task *self)
{
	event->ns = bpf_ktime_get_ns();
	event->kind = kind;
	event->process = self->process;
	event->tid = self->tid;
}

/* Read up to `max` (a power of two) bytes that a send was given; returns how many. */
static __always_inline __u8 read_data(void *to, __u32 max, const struct send_args *args, int sent)
{
	__u64 len = args->len;

	if (!args->data || sent <= 0)
		return 0;
	if (len > (__u32)sent)
		len = sent;
	if (len > max)
		len = max;
	if (len == 0 || bpf_probe_read_user(to, len, (const void *)args->data))
		return 0;
	return len;
}

/* ---------------------------------------------------------------------------------------------- tallies */

/* A number for the peer that a socket is associated with now. A stream keeps its peer, or begins anew by a connect. */
static __always_inline __u64 current_peer(const struct sock *sk)
{
	__u32 address[4] = {};

	if (sk->sk_type == SOCK_STREAM)
		return 0;
	if (sk->__sk_common.skc_family == AF_UNIX)
		return (__u64)BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (sk->__sk_common.skc_family == AF_INET)
		address[0] = sk->__sk_common.skc_daddr;
	else
		BPF_CORE_READ_INTO((__u8(*)[16])address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	return ((__u64)(address[0] ^ address[1] ^ address[2] ^ address[3]) << 32) | sk->__sk_common.skc_dport;
}

/* Whether a socket's tally counts: it is of this epoch, and its place has not come near to being taken by another. */
static __always_inline bool has_tally(const struct svc_socket *entry)
{
	return entry->tally_epoch == control.epoch && control.last_tally - entry->tally < SVC_TALLIES / 2;
}

/*
 * Count a send in the tally of its socket. Returns whether that is all there is to tell: not if the tally is another
 * thread's or another peer's. Of a thread that is no runner's, such as librdkafka's, the bytes say whose order a send
 * is: only one that begins as the tally did is counted there.
 */
static __always_inline bool count_send(const struct sock *sk, const struct svc_socket *entry,
				       const struct svc_task *self, int sent)
{
	const struct send_args *args = &self->args;
	__u32 index = entry->tally & (SVC_TALLIES - 1);
	struct svc_tally *tally;
	__u64 head = 0;

	if (sent < 0 || args->name || !has_tally(entry) || entry->tally_process != self->process ||
	    entry->tally_tid != self->tid || entry->tally_peer != current_peer(sk))
		return false;
	if (!self->runner) {
		read_data(&head, SVC_HEAD_LEN, args, sent);
		if (head != *(__u64 *)entry->tally_head)
			return false;
	}
	tally = bpf_map_lookup_elem(&tallies, &index);
	if (!tally)
		return false;
	tally->last_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&tally->bytes, sent);
	__sync_fetch_and_add(&tally->sends, 1);
	return true;
}

/* Let a new tally count the sends that follow this one on its socket, in this epoch, by this thread, to this peer. */
static __always_inline void begin_tally(struct svc_event *event, const struct sock *sk, struct svc_socket *entry,
					const struct send_args *args)
{
	__u32 epoch = control.epoch, serial, index;
	struct svc_tally *tally;

	if (event->result < 0 || args->name || (has_tally(entry) && entry->tally_peer == current_peer(sk)))
		return; /* it says little of the next; or the tally is another thread's, or began with other bytes */
	serial = __sync_fetch_and_add(&control.last_tally, 1) + 1;
	index = serial & (SVC_TALLIES - 1);
	tally = bpf_map_lookup_elem(&tallies, &index);
	if (!tally)
		return;
	tally->last_ns = event->ns;
	tally->bytes = 0;
	tally->sends = 0;
	tally->epoch = epoch;
	entry->tally = serial;
	entry->tally_epoch = epoch;
	entry->tally_process = event->process;
	entry->tally_tid = event->tid;
	entry->tally_peer = current_peer(sk);
	__builtin_memcpy(entry->tally_head, event->head, SVC_HEAD_LEN);
	event->tally = serial;
}

/* ------------------------------------------------------------------------------------------------ sends */

/* The name of a unix socket's peer; NULL if it has none: a socketpair, or the accepting side of a connection. */
static __always_inline struct unix_address *peer_name(const struct sock *sk)
{
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	struct unix_address *name = peer ? BPF_CORE_READ((struct unix_sock *)peer, addr) : NULL;

	return name_len(name) ? name : NULL;
}

static __always_inline void tell_send(const struct sock *sk, int sent, struct svc_task *self, struct svc_socket *entry)
{
	const struct send_args *args = &self->args;
	const void *destination = (const void *)args->name;
	bool is_unix = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX;
	struct unix_address *name = is_unix ? peer_name(sk) : NULL;
	struct svc_socket_event *record;

	if (is_unix && !name && !destination)
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
		if (record->event.protocol != IPPROTO_TCP)
			set_peer_from_user(&record->event, destination, args->name_len);
	}
	if (entry->prefixes < SVC_PREFIXES) {
		record->prefix_len = read_data(record->prefix, SVC_PREFIX_LEN, args, sent);
		entry->prefixes++;
	} else {
		begin_tally(&record->event, sk, entry, args);
	}
	submit(record);
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

	if (!self || sent == -EAGAIN)
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

static __always_inline void tell_listen(const struct sock *sk)
{
	struct svc_task *self = current_task();
	struct svc_event *event;

	if (!self)
		return;
	event = reserve(sizeof(*event));
	if (!event)
		return;
	set_origin(event, SVC_LISTEN, self);
	set_socket(event, sk);
	event->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (event->family == AF_INET)
		BPF_CORE_READ_INTO((__be32 *)event->peer, sk, __sk_common.skc_rcv_saddr);
	else
		BPF_CORE_READ_INTO(&event->peer, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	submit(event);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int oldstate, int newstate)
{
	struct svc_socket *entry;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		tell_tcp_connect(sk);
	} else if (newstate == TCP_LISTEN) {
		tell_listen(sk);
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

/* A connect whose attempt no TCP state told: unix, UDP, or TCP that failed before its first packet. */
static __always_inline void tell_connect(const struct pt_regs *regs, long result, struct svc_task *self, __u8 flags)
{
	struct socket *socket = BPF_CORE_READ(file_of_fd(ARG1(regs)), private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);
	const void *name = (const void *)ARG2(regs);
	struct svc_socket_event *record;
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
	record->event.flags = flags;
	record->event.result = result;
	record->since_ns = record->event.ns;
	if (family == AF_UNIX) {
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

	if (number != NR_write && number != NR_connect && number != NR_sendmmsg)
		return 0;
	self = current_task();
	if (!self)
		return 0;
	self->message = 0;
	if (number == NR_write)
		note_boundary(regs, self);
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
