/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the probes keep, and how they reach the tracer: here in the kernel's own storages, whose entries live and die
 * with what they belong to. svc_trace.bcc.c has the same functions over maps of older kernels.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include "svc_trace.h"

/*
 * Set by the loader where kprobes tell the sends: they get pointers as numbers, through which the verifier lets nobody
 * load, nor ask for a socket's storage.
 */
const volatile bool by_kprobes SEC(".rodata.way") = false;

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

/* The same by the socket's address, where kprobes tell the sends; deleted with the socket, too. The loader sets the
 * size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct svc_socket);
} sockets_by_address SEC(".maps");

struct svc_control control = {.epoch = 1, .last_process = 1};

/* The variables that the tracer shares; never NULL here. */
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

/* How many tallies have begun since this one, of those that take turns in its place. */
static __always_inline __u32 tallies_since(__u32 serial)
{
	return control.last_tally - serial;
}

static __always_inline struct svc_tally *tally_of(__u32 serial)
{
	__u32 index = serial & (SVC_TALLIES - 1);

	return bpf_map_lookup_elem(&tallies, &index);
}

static __always_inline struct task_struct *running_task(void)
{
	return bpf_get_current_task_btf();
}

/* The registers that the running task entered the kernel with. */
static __always_inline const struct pt_regs *current_regs(void)
{
	return (const struct pt_regs *)bpf_task_pt_regs(running_task());
}

/* The entry of a task; NULL if it is not of the tree. */
static __always_inline struct svc_task *find_task(struct task_struct *task)
{
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

/* Make a task one of the tree; NULL if that has to be counted as lost, which is done. */
static __always_inline struct svc_task *add_task(struct task_struct *task, struct svc_task *value)
{
	struct svc_task *entry = bpf_task_storage_get(&tasks, task, value, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!entry)
		count_lost();
	return entry;
}

/* Whether the running task is the first that sees a process of the tree end; `leader`: its first thread. */
static __always_inline bool first_to_see_the_end(struct task_struct *leader)
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

/* The entry of a socket, made if need be; NULL if that has to be counted as lost, which is done. */
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
		if (!entry) /* of two who make it at once, one is refused */
			entry = bpf_sk_storage_get(&sockets, (void *)sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	}
	if (!entry)
		count_lost();
	return entry;
}

#endif
