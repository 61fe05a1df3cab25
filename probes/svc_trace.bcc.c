// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * The same probes for bcc, which compiles them on the machine that they run on. They need nothing newer than Linux 5.8
 * (the ring buffer), and no BTF: every read is a bpf_probe_read_kernel.
 *
 * The loader (tracer/record/capture/bpf/bcc_loader.py) puts the kernel's types before this text, if it has BTF. It
 * defines
 *	SVC_KERNEL_HEADERS	without BTF: the kernel's types come from its headers
 *	SVC_CPUS		a power of two, at least 2: all numbers of CPUs are below it
 *	SVC_RING_BYTES		the size of the ring buffer
 *	SVC_SEND_FUNCTIONS	without the tracepoint sock_send_length: the functions that send are probed
 *
 * In place of task and socket storages, which need BTF, there are hash maps with addresses as keys. Where a tracepoint
 * reports the end of a task or socket, it deletes the entry. Each entry also identifies its task or socket, so a stale
 * entry is not taken for that of a new one at the same address.
 *
 * bcc rewrites only this file, without its includes, so all functions that access a map are here.
 */
#ifdef SVC_KERNEL_HEADERS
#include "bcc_headers.h"
#else
#include "constants.h"
#endif
#include "svc_trace.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "bcc_reads.h"

#define CHECKED_ALONE static __always_inline /* as all functions here */

#define SVC_ENTRIES 65536 /* of each hash map: tasks and sockets of one tree at a time */

/* What the probes need before the command's first instruction. */
struct svc_setup {
	__u64 registers; /* offset in a task's stack of the registers with which it entered the kernel */
	__u32 root; /* pid of the command's process, in its own namespace; 0 as soon as it has an entry */
	__u32 root_pidns; /* inode number of that namespace */
	__u64 root_until_ns; /* the process existed then: a later one with its pid is another one */
};

/* The last serial numbers of one CPU. Numbers of two CPUs differ, so no atomic increment, of Linux 5.12, is needed. */
struct svc_numbers {
	__u32 processes;
	__u32 tallies;
};

/* Records for the tracer; count_lost() counts records that do not fit. */
BPF_RINGBUF_OUTPUT(events, SVC_RING_BYTES / PAGE_SIZE);

/* CPU → number of lost events. */
BPF_F_TABLE("array", __u32, __u64, lost, SVC_CPUS, BPF_F_MMAPABLE);

/* Serial number of a tally modulo the size → svc_tally. Inserted and updated by sends; the oldest is overwritten. */
BPF_F_TABLE("array", __u32, struct svc_tally, tallies, SVC_TALLIES, BPF_F_MMAPABLE);

/* 0 → the variables that the tracer shares; set by it and by the probes. */
BPF_F_TABLE("array", __u32, struct svc_control, controls, 1, BPF_F_MMAPABLE);

/*
 * Serial number of a process modulo the size → svc_interpreter. Inserted by the tracer, and by fork, which copies the
 * parent's; emptied by exec. A process that takes another one's place makes that one's Python unknown.
 */
BPF_F_TABLE("array", __u32, struct svc_interpreter, interpreters, SVC_INTERPRETERS, BPF_F_MMAPABLE);

/* 0 → svc_setup. Set by the tracer and by svc_learn_registers. */
BPF_F_TABLE("array", __u32, struct svc_setup, setups, 1, BPF_F_MMAPABLE);

/* CPU → svc_numbers. Updated only on that CPU. */
BPF_F_TABLE("array", __u32, struct svc_numbers, numbers, SVC_CPUS, 0);

/* The entry of the task at an address, which was created at start_ns. */
struct svc_life {
	struct svc_task task;
	__u64 start_ns;
};

/* Task → svc_life. Inserted at exec for the command, at fork for all others; deleted with the task. */
BPF_F_TABLE("hash", __u64, struct svc_life, tasks, SVC_ENTRIES, 0);

/* First thread of a process that has ended → unused. Inserted when its last thread ends; deleted with the first. */
BPF_F_TABLE("hash", __u64, __u8, ended, SVC_ENTRIES, 0);

/* TCP socket → svc_socket. Inserted at connect, accept or the first send; deleted with the socket. */
BPF_F_TABLE("hash", __u64, struct svc_socket, streams, SVC_ENTRIES, 0);

/*
 * Another socket → svc_socket. Inserted at its first send. No tracepoint reports its end: if the map is full, the
 * kernel deletes the entry that was used least recently. The socket's next send then emits its first events again.
 */
BPF_F_TABLE("lru_hash", __u64, struct svc_socket, others, SVC_ENTRIES, 0);

static __always_inline struct svc_control *shared(void)
{
	__u32 zero = 0;

	return controls.lookup(&zero);
}

static __always_inline void count_lost(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *count = lost.lookup(&cpu);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void *reserve_part(__u64 size, __u64 zeros)
{
	void *record = events.ringbuf_reserve(size);

	if (!record) {
		count_lost();
		return NULL;
	}
	__builtin_memset(__builtin_assume_aligned(record, 8), 0, zeros); /* so clang writes 8 bytes at a time */
	return record;
}

static __always_inline void submit(void *record)
{
	events.ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void submit_soon(void *record)
{
	submit(record); /* bcc has no call for the fill of a ring buffer, so its reader is never woken */
}

static __always_inline void discard(void *record)
{
	events.ringbuf_discard(record, BPF_RB_NO_WAKEUP);
}

static __always_inline __u32 next_process(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct svc_numbers *own = numbers.lookup(&cpu);

	return own ? ++own->processes * SVC_CPUS + cpu : 0; /* at least SVC_CPUS, so not 1, the command */
}

static __always_inline __u32 next_tally(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct svc_numbers *own = numbers.lookup(&cpu);

	return own ? ++own->tallies * SVC_CPUS + cpu : 0;
}

/* Only tallies of the same CPU overwrite one another. */
static __always_inline __u32 tallies_since(__u32 serial)
{
	__u32 cpu = serial & (SVC_CPUS - 1);
	struct svc_numbers *its = numbers.lookup(&cpu);

	return its ? its->tallies * SVC_CPUS + cpu - serial : -1U;
}

static __always_inline struct svc_tally *tally_of(__u32 serial)
{
	__u32 index = serial & (SVC_TALLIES - 1);

	return tallies.lookup(&index);
}

static __always_inline struct svc_interpreter *interpreter_at(__u32 process)
{
	__u32 index = process & (SVC_INTERPRETERS - 1);

	return interpreters.lookup(&index);
}

static __always_inline struct task_struct *running_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* The registers with which a task entered the kernel: at the same offset in each task's stack. */
static __always_inline const struct pt_regs *regs_of(struct task_struct *task)
{
	__u32 zero = 0;
	struct svc_setup *setup = setups.lookup(&zero);

	return setup ? stack_of(task) + setup->registers : NULL;
}

static __always_inline const struct pt_regs *current_regs(void)
{
	return regs_of(running_task());
}

static __always_inline bool may_have_entry(struct task_struct *task)
{
	return true;
}

static __always_inline struct svc_task *find_task(struct task_struct *task)
{
	__u64 key = (__u64)task;
	struct svc_life *life = tasks.lookup(&key);
	struct svc_task *entry = life && life->start_ns == birth_of(task) ? &life->task : NULL;

	asm volatile("" : "+r"(entry)); /* for the verifier: compare this pointer with NULL, not what led to it */
	return entry;
}

static __always_inline struct svc_task *add_task(struct task_struct *task, struct svc_task *value)
{
	struct svc_life life = {.task = *value, .start_ns = birth_of(task)};
	__u64 key = (__u64)task;

	ended.delete(&key);
	if (tasks.update(&key, &life)) {
		count_lost();
		return NULL;
	}
	return find_task(task);
}

static __always_inline bool claim_exit(struct task_struct *leader)
{
	__u64 key = (__u64)leader;
	__u8 nothing = 0;
	long result;

	if (!find_task(leader))
		return false;
	result = ended.insert(&key, &nothing); /* fails for all but the first */
	if (result && result != -EEXIST)
		count_lost();
	return !result;
}

/* Whether an entry belongs to this socket, which has no inode number before accept and while it is being closed. */
static __always_inline bool is_of(struct svc_socket *entry, __u64 inode)
{
	if (!entry->inode)
		entry->inode = inode;
	return !inode || entry->inode == inode;
}

static __always_inline struct svc_socket *find_socket(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct svc_socket *entry = is_tcp(sk) ? streams.lookup(&key) : others.lookup(&key);

	return entry && is_of(entry, inode_behind(sk)) ? entry : NULL;
}

/*
 * For sockets that begin: find_socket() recognises a stale entry only if both sockets have inode numbers, which a TCP
 * connection gets when it is accepted. No tracepoint reports the end of a socket that is not of TCP, and the program
 * that does so for TCP may have been skipped.
 */
static __always_inline void forget_predecessor(const struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (is_tcp(sk))
		streams.delete(&key);
	else
		others.delete(&key);
}

static __always_inline struct svc_socket *socket_entry(const struct sock *sk)
{
	struct svc_socket *entry = find_socket(sk), fresh = {};
	__u64 key = (__u64)sk;

	if (entry)
		return entry;
	fresh.inode = inode_behind(sk);
	if (is_tcp(sk))
		streams.update(&key, &fresh);
	else
		others.update(&key, &fresh);
	entry = find_socket(sk);
	if (!entry)
		count_lost();
	return entry;
}

#include "processes.h"
#include "sends.h"
#include "connections.h"
#include "causes.h"
#include "receives.h"
#ifdef SVC_SEND_FUNCTIONS
#include "send_functions.h"
#endif

/* The tracer cannot know the address of the command's task, but its pid. Its first act is exec or fork. */
static __always_inline void add_root(struct task_struct *task)
{
	struct svc_task value = {.process = 1};
	__u32 zero = 0, pidns;
	struct svc_setup *setup = setups.lookup(&zero);

	if (!setup || !setup->root || find_task(task))
		return;
	read_pid(task, &value.tid, &pidns);
	if (value.tid == setup->root && pidns == setup->root_pidns && birth_of(task) <= setup->root_until_ns &&
	    add_task(task, &value))
		setup->root = 0;
}

int svc_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = running_task();

	add_root(parent);
	on_fork(parent, (struct task_struct *)ctx->args[0]);
	return 0;
}

int svc_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	__u64 key = (__u64)task;
	struct svc_life *life = tasks.lookup(&key);

	/* A thread that executes gets the pid and the start of the first thread. */
	if (life && pid_of(task) != (int)ctx->args[1])
		life->start_ns = birth_of(task);
	add_root(task);
	on_exec(task);
	return 0;
}

int svc_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	on_exit((struct task_struct *)ctx->args[0]);
	return 0;
}

/* The kernel frees a task, after its last event. */
int svc_process_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0];

	tasks.delete(&key);
	ended.delete(&key);
	return 0;
}

#ifndef SVC_SEND_FUNCTIONS
int svc_socket_send(struct bpf_raw_tracepoint_args *ctx)
{
	on_send((struct sock *)ctx->args[0], ctx->args[1]);
	return 0;
}
#else
static __always_inline struct sock *sending_socket(struct pt_regs *ctx)
{
	return sock_of((const struct socket *)PT_REGS_PARM1(ctx));
}

int svc_send_begins(struct pt_regs *ctx)
{
	on_send_begins(sending_socket(ctx));
	return 0;
}

int svc_dgram_send_begins(struct pt_regs *ctx)
{
	struct sock *sk = sending_socket(ctx);

	if (!is_within_seqpacket(sk))
		on_send_begins(sk);
	return 0;
}

int svc_page_send_begins(struct pt_regs *ctx)
{
	struct sock *sk = sending_socket(ctx);

	if (!leads_to_sendmsg(sk))
		on_send_begins(sk);
	return 0;
}

int svc_send_ends(struct pt_regs *ctx)
{
	on_send_ends(PT_REGS_RC(ctx));
	return 0;
}
#endif

/* Optional, as in svc_trace.bpf.c. */
int svc_socket_receive(struct bpf_raw_tracepoint_args *ctx)
{
	on_receive((const struct sock *)ctx->args[0], ctx->args[1]);
	return 0;
}

int svc_socket_state(struct bpf_raw_tracepoint_args *ctx)
{
	const struct sock *sk = (const struct sock *)ctx->args[0];

	on_own_state(sk, ctx->args[1], ctx->args[2]);
	on_peer_state(sk, ctx->args[1], ctx->args[2]);
	return 0;
}

int svc_socket_state_again(struct bpf_raw_tracepoint_args *ctx)
{
	on_peer_state((const struct sock *)ctx->args[0], ctx->args[1], ctx->args[2]);
	return 0;
}

/* The end of a TCP socket, after its last change of state. */
int svc_socket_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0];

	streams.delete(&key);
	return 0;
}

int svc_syscall_exit(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *regs = (const struct pt_regs *)ctx->args[0];

#ifdef SVC_SEND_FUNCTIONS
	on_missed_end(regs, ctx->args[1]);
#endif
	on_syscall_exit(regs, ctx->args[1]);
	return 0;
}

/* Optional, as in svc_trace.bpf.c. */
int svc_waking(struct bpf_raw_tracepoint_args *ctx)
{
	on_waking((struct task_struct *)ctx->args[0]);
	return 0;
}

int svc_data_ready(struct bpf_raw_tracepoint_args *ctx)
{
	on_data_ready((const struct sock *)ctx->args[0]);
	return 0;
}

/* Attached to sys_exit for a moment at the start: it is passed the registers that current_regs() has to find. */
int svc_learn_registers(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	struct svc_setup *setup = setups.lookup(&zero);

	if (setup)
		setup->registers = ctx->args[0] - (__u64)stack_of(running_task());
	return 0;
}
