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

/* Keep the records' types in the object's BTF, for the test that holds wire.py against them. */
const struct svc_socket_event *unused_socket_event __attribute__((unused));
const struct svc_task_event *unused_task_event __attribute__((unused));

/* What a socket's life so far means for its next event. */
struct svc_socket {
	__u64 since_ns; /* when the running attempt to connect began; 0: none is running */
	__u64 inode; /* as in svc_event.socket: a socket that is being closed has lost it */
	__u32 process; /* who began the attempt */
	__u32 tid;
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

/* The serial number of the process that was born last; 1 is the command. */
__u32 last_process = 1;

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
static __always_inline void read_pid(struct pid *pid, __u32 *number, __u32 *pidns)
{
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
	read_pid(task->thread_pid, &record->event.tid, &ignored);
	read_pid(task->group_leader->thread_pid, &record->pid, &record->pidns);
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
	read_pid(task->thread_pid, &worker.tid, &pidns);
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
		born.process = __sync_fetch_and_add(&last_process, 1) + 1;
	read_pid(child->thread_pid, &born.tid, &pidns);
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
	read_pid(task->thread_pid, &self->tid, &pidns); /* exec in a thread makes it the leader, with its pid */
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

/* Take the peer from a sockaddr in user space. Returns the address family; 0 if there is none. */
static __always_inline __u16 set_peer_from_user(struct svc_event *event, const void *name, __u32 len)
{
	struct sockaddr_any address = {};

	if (!name || len < sizeof(address.family) || bpf_probe_read_user(&address.family, sizeof(__u16), name))
		return 0;
	if (address.family == AF_INET && bpf_probe_read_user(&address, 8, name) == 0) {
		__builtin_memset(event->peer, 0, sizeof(event->peer));
		__builtin_memcpy(event->peer, address.in.address, 4);
		event->port = bpf_ntohs(address.in.port);
	} else if (address.family == AF_INET6 && bpf_probe_read_user(&address, 24, name) == 0) {
		__builtin_memcpy(event->peer, address.in6.address, 16);
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
	if (len == 0 || bpf_probe_read_user(to, len, args->data))
		return 0;
	return len;
}

static __always_inline void tell_unix_send(const struct sock *sk, int sent, struct svc_task *self,
					   const struct send_args *args, struct svc_socket *entry)
{
	struct unix_sock *own = (struct unix_sock *)sk;
	struct sock *peer = BPF_CORE_READ(own, peer);
	struct unix_address *name = NULL;
	struct svc_socket_event *record;

	if (peer)
		name = BPF_CORE_READ((struct unix_sock *)peer, addr);
	if (!name_len(name) && args->name_len <= sizeof(__u16))
		return; /* a socketpair, or the accepting side of a connection: its peer has no name */
	record = reserve(sizeof(*record));
	if (!record)
		return;
	set_origin(&record->event, SVC_SEND, self);
	set_socket(&record->event, sk);
	record->event.flags = SVC_DETAIL;
	record->event.result = sent;
	record->event.head_len = read_data(record->event.head, SVC_HEAD_LEN, args, sent);
	if (args->name_len > sizeof(__u16))
		set_path_from_user(record, args->name, args->name_len);
	else
		set_path(record, name);
	set_listener(record, sk);
	if (entry->prefixes < SVC_PREFIXES) {
		record->prefix_len = read_data(record->prefix, SVC_PREFIX_LEN, args, sent);
		entry->prefixes++;
	}
	submit(record);
}

static __always_inline void set_inet_send(struct svc_event *event, const struct sock *sk, int sent,
					  struct svc_task *self, const struct send_args *args)
{
	set_origin(event, SVC_SEND, self);
	set_socket(event, sk);
	set_peer(event, sk);
	if (event->protocol != IPPROTO_TCP)
		set_peer_from_user(event, args->name, args->name_len);
	event->result = sent;
	event->head_len = read_data(event->head, SVC_HEAD_LEN, args, sent);
}

static __always_inline void tell_inet_send(const struct sock *sk, int sent, struct svc_task *self,
					   const struct send_args *args, struct svc_socket *entry)
{
	struct svc_socket_event *detailed;
	struct svc_event *bare;

	if (entry->prefixes >= SVC_PREFIXES) {
		bare = reserve(sizeof(*bare));
		if (bare) {
			set_inet_send(bare, sk, sent, self, args);
			submit(bare);
		}
		return;
	}
	detailed = reserve(sizeof(*detailed));
	if (detailed) {
		set_inet_send(&detailed->event, sk, sent, self, args);
		detailed->event.flags = SVC_DETAIL;
		detailed->prefix_len = read_data(detailed->prefix, SVC_PREFIX_LEN, args, sent);
		entry->prefixes++;
		submit(detailed);
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
	struct send_args args = {};
	struct svc_socket *entry;
	__u16 family;

	if (!self || sent == -EAGAIN)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	entry = socket_entry(sk);
	if (!entry || entry->accepted)
		return 0;
	read_send_args(&args, (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()), self->message);
	self->message++;
	announce(self);
	if (family == AF_UNIX)
		tell_unix_send(sk, sent, self, &args, entry);
	else
		tell_inet_send(sk, sent, self, &args, entry);
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
	self->connecting = 1;
	submit(event);
}

/* In any task's context: the result of a non-blocking connect comes with the peer's packet. */
static __always_inline void tell_tcp_result(const struct sock *sk, int newstate)
{
	struct svc_socket *entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
	struct svc_socket_event *record;

	if (!entry || !entry->since_ns)
		return;
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
		record->event.result = newstate == TCP_ESTABLISHED ? 0 : -BPF_CORE_READ(sk, sk_err);
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

/* The socket behind a file descriptor of the running task; NULL if there is none. */
static __always_inline struct sock *socket_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;
	struct socket *socket;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/* A connect whose attempt no TCP state told: unix, UDP, or TCP that failed before its first packet. */
static __always_inline void tell_connect(const struct pt_regs *regs, long result, struct svc_task *self)
{
	struct sock *sk = socket_of_fd(bpf_get_current_task_btf(), ARG1(regs));
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
	record->event.flags = SVC_DETAIL | SVC_WHOLE;
	record->event.result = result;
	record->since_ns = record->event.ns;
	if (family == AF_UNIX) {
		set_path_from_user(record, name, ARG3(regs));
		if (result == 0)
			set_listener(record, sk);
	} else if (set_peer_from_user(&record->event, name, ARG3(regs)) == AF_UNSPEC) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP); /* it dissolved an association */
		return;
	}
	submit(record);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	long number = syscall_number(regs);
	struct svc_task *self;
	__u8 told;

	if (number != NR_connect && number != NR_sendmmsg)
		return 0;
	self = current_task();
	if (!self)
		return 0;
	self->message = 0;
	if (number != NR_connect)
		return 0;
	told = self->connecting;
	self->connecting = 0;
	if (told || result == -EINPROGRESS || result == -EALREADY || result == -EISCONN ||
	    (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK))
		return 0;
	tell_connect(regs, result, self);
	return 0;
}
