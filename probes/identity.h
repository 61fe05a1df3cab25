/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How the probes reach the tracer: the ring buffer, the count of what did not fit, the shared variables. */
#ifndef DELIVERY_H
#define DELIVERY_H

#include "svc_trace.h"

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

struct svc_control control = {.epoch = 1, .last_process = 1};

/*
 * A number for one use of a pid: what a socket remembers of its listener is the kernel's struct pid, which lives on
 * with the socket, while the pid itself may be given to another process.
 */
static __always_inline __u32 pid_mark(const struct pid *pid)
{
	return ((__u64)pid * 0x9e3779b97f4a7c15ULL) >> 32;
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

#endif
