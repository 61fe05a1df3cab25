/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The maps, and the functions that access them. Task and socket storages delete an entry together with its task or
 * socket. svc_trace.bcc.c has the same functions for older kernels.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include "svc_trace.h"

/*
 * A function that the verifier checks once, for all arguments, and not again at each call. It must not be static,
 * returns an int, and has to compare its pointers with NULL.
 */
#define CHECKED_ALONE __noinline

/*
 * Set by the loader where kprobes observe the sends. To the verifier, the pointers of kprobes are numbers: programs can
 * neither load through them nor pass them to socket storage.
 */
const volatile bool by_kprobes SEC(".rodata.way") = false;

/* Records for the tracer. The loader sets the size; count_lost() counts records that do not fit. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* CPU → number of lost events. The loader sets the size to the number of possible CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Serial number of a tally modulo the size → svc_tally. Inserted and updated by sends; the oldest is overwritten. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SVC_TALLIES);
	__type(key, __u32);
	__type(value, struct svc_tally);
} tallies SEC(".maps");

/*
 * Serial number of a process modulo the size → svc_interpreter. Inserted by the tracer, and by fork, which copies the
 * parent's; emptied by exec. A process that takes another one's place makes that one's Python unknown.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SVC_INTERPRETERS);
	__type(key, __u32);
	__type(value, struct svc_interpreter);
} interpreters SEC(".maps");

/* Task → svc_task. Inserted by the tracer for the command, by fork for the others; deleted with the task. */
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

/*
 * In place of `sockets` where by_kprobes: address of a socket → svc_socket. Inserted likewise; deleted by socket_freed.
 * The loader sets the size; count_lost() counts what does not fit.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct svc_socket);
} sockets_by_address SEC(".maps");

struct svc_control control = {.epoch = 1, .last_process = 1};

/* The variables that the tracer shares; never NULL in this implementation. */
static __always_inline struct svc_control *shared(void)
{
	return &control;
}

static __always_inline void count_lost(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *count = bpf_map_lookup_elem(&lost, &cpu);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* A record of `size` bytes, the first `zeros` of which are 0; NULL, and counted as lost, if there is no room. */
static __always_inline void *reserve_part(__u64 size, __u64 zeros)
{
	void *record = bpf_ringbuf_reserve(&events, size, 0);

	if (!record) {
		count_lost();
		return NULL;
	}
	__builtin_memset(__builtin_assume_aligned(record, 8), 0, zeros); /* so clang writes 8 bytes at a time */
	return record;
}

/*
 * The tracer drains by the clock: waking it for each record would cost the traced thread more than the record. It is
 * woken before its time when a sixteenth of the ring buffer is in use.
 */
static __always_inline void submit(void *record)
{
	__u64 used = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(record, used > bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 16 ? BPF_RB_FORCE_WAKEUP
											    : BPF_RB_NO_WAKEUP);
}

/* A record that the tracer should see soon. */
static __always_inline void submit_soon(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void discard(void *record)
{
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
}

static __always_inline __u32 next_process(void)
{
	return __sync_fetch_and_add(&control.last_process, 1) + 1;
}

static __always_inline __u32 next_tally(void)
{
	return __sync_fetch_and_add(&control.last_tally, 1) + 1;
}

/* How many newer tallies there are, of those that overwrite one another. */
static __always_inline __u32 tallies_since(__u32 serial)
{
	return control.last_tally - serial;
}

static __always_inline struct svc_tally *tally_of(__u32 serial)
{
	__u32 index = serial & (SVC_TALLIES - 1);

	return bpf_map_lookup_elem(&tallies, &index);
}

static __always_inline struct svc_interpreter *interpreter_at(__u32 process)
{
	__u32 index = process & (SVC_INTERPRETERS - 1);

	return bpf_map_lookup_elem(&interpreters, &index);
}

static __always_inline struct task_struct *running_task(void)
{
	return bpf_get_current_task_btf();
}

/* The registers with which a task entered the kernel. */
static __always_inline const struct pt_regs *regs_of(struct task_struct *task)
{
	return (const struct pt_regs *)bpf_task_pt_regs(task);
}

/* The registers with which the running task entered the kernel. */
static __always_inline const struct pt_regs *current_regs(void)
{
	return regs_of(running_task());
}

/*
 * Whether a task may have an entry: a load, which is faster than find_task(). Each such load of a pointer makes the
 * verifier take about a millisecond longer.
 */
static __always_inline bool may_have_entry(struct task_struct *task)
{
	return task->bpf_storage;
}

/* The entry of a task; NULL if it is not of the tree. */
static __always_inline struct svc_task *find_task(struct task_struct *task)
{
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

/* Add a task to the tree; NULL, and counted as lost, if that fails. */
static __always_inline struct svc_task *add_task(struct task_struct *task, struct svc_task *value)
{
	struct svc_task *entry = bpf_task_storage_get(&tasks, task, value, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!entry)
		count_lost();
	return entry;
}

/* Whether the running task is the first to find that a process has ended. `leader`: the first thread of the process. */
static __always_inline bool claim_exit(struct task_struct *leader)
{
	struct svc_task *first = find_task(leader);

	return first && __sync_fetch_and_add(&first->ended, 1) == 0;
}

/* The entry of a socket; NULL if it has none. */
static __always_inline struct svc_socket *find_socket(const struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (by_kprobes)
		return bpf_map_lookup_elem(&sockets_by_address, &address);
	return bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
}

/* Delete the entry of an earlier socket at the same address. Storages end with their socket; kprobes may be skipped. */
static __always_inline void forget_predecessor(const struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (by_kprobes)
		bpf_map_delete_elem(&sockets_by_address, &address);
}

/* The entry of a socket, inserted if necessary; NULL, and counted as lost, if that fails. */
static __always_inline struct svc_socket *socket_entry(const struct sock *sk)
{
	const struct svc_socket fresh = {};
	__u64 address = (__u64)sk;
	struct svc_socket *entry;

	if (by_kprobes) {
		entry = find_socket(sk);
		if (!entry) {
			bpf_map_update_elem(&sockets_by_address, &address, &fresh, BPF_NOEXIST);
			entry = find_socket(sk);
		}
	} else {
		entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!entry) /* another thread has inserted it at the same time: now it exists */
			entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	}
	if (!entry)
		count_lost();
	return entry;
}

#endif
