/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Entries and events of the threads of the tree. */
#ifndef TASKS_H
#define TASKS_H

#include "svc_trace.h"

/*
 * A number for one use of a pid. A unix socket refers to its listener's struct pid, which exists as long as the socket,
 * while another process may get the same pid.
 */
static __always_inline __u32 pid_generation(const struct pid *pid)
{
	return ((__u64)pid * 0x9e3779b97f4a7c15ULL) >> 32;
}

/* A task's innermost pid number and that namespace's inode number. */
static __always_inline void read_pid(const struct task_struct *task, __u32 *number, __u32 *pidns)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid); /* not `->`: typed pointers cannot be indexed */
	unsigned int level = BPF_CORE_READ(pid, level);
	const void *upid = (const void *)pid + bpf_core_field_offset(struct pid, numbers) +
			   level * bpf_core_type_size(struct upid);
	struct pid_namespace *ns;

	bpf_probe_read_kernel(number, sizeof(*number), upid + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(&ns, sizeof(ns), upid + bpf_core_field_offset(struct upid, ns));
	*pidns = BPF_CORE_READ(ns, ns.inum);
}

/* A record of zero bytes; NULL, and counted as lost, if there is no room. */
static __always_inline void *reserve(__u64 size)
{
	return reserve_part(size, size);
}

static __always_inline int emit_task(__u8 kind, struct task_struct *task, __u32 process, __u32 parent, __s32 result,
				     __u64 lineage_ns)
{
	struct svc_task_event *record = reserve(sizeof(*record));
	const struct task_struct *named;
	__u32 ignored;

	if (!record)
		return -1;
	record->event.ns = bpf_ktime_get_ns();
	record->event.kind = kind;
	record->event.process = process;
	record->event.result = result;
	record->parent = parent;
	record->start_ns = BPF_CORE_READ(task, start_time);
	record->lineage_ns = lineage_ns ?: record->start_ns;
	record->host_pid = BPF_CORE_READ(task, tgid);
	record->event.pid_generation = pid_generation(BPF_CORE_READ(task, group_leader, thread_pid));
	read_pid(task, &record->event.tid, &ignored);
	read_pid(BPF_CORE_READ(task, group_leader), &record->pid, &record->pidns);
	/* A process has the name of its first thread, even if another thread ends last. */
	named = kind == SVC_THREAD ? task : BPF_CORE_READ(task, group_leader);
	bpf_probe_read_kernel_str(record->comm, sizeof(record->comm),
				  (const void *)named + bpf_core_field_offset(struct task_struct, comm));
	if (kind == SVC_EXEC) /* the tracer looks for the interpreter, and for the mount namespace */
		submit_soon(record);
	else
		submit(record);
	return 0;
}

static __always_inline __u64 epoch_ns(void)
{
	const struct svc_control *control = shared();

	return control ? control->epoch_ns : 0;
}

/* A thread's interval: its own if it has not waited in the running epoch, else that of the thread that woke it. */
static __always_inline struct svc_unsure unsure_of(const struct svc_task *self)
{
	struct svc_unsure own = {.from_ns = self->waited_ns, .to_ns = epoch_ns()};

	return own.from_ns < own.to_ns ? own : self->unsure;
}

/* Whether an interval has something that a thread's does not have. */
static __always_inline bool adds_doubt(struct svc_unsure unsure, const struct svc_unsure *known)
{
	return unsure.to_ns > known->to_ns || (unsure.to_ns == known->to_ns && unsure.from_ns < known->from_ns);
}

/* Whether pass_cause() would change something: causes that a runner's thread became in one epoch are the same. */
static __always_inline bool has_news(const struct svc_task *self, const struct svc_task *other)
{
	if (self->runner)
		return other->cause_process != self->process || other->cause_tid != self->tid ||
		       other->cause_ns < epoch_ns();
	return self->cause_ns > other->cause_ns || adds_doubt(unsure_of(self), &other->unsure);
}

/* Make the running thread's cause that of a thread which it wakes, or has started; a runner's thread is its own. */
static __always_inline void pass_cause(const struct svc_task *self, struct svc_task *other)
{
	struct svc_unsure unsure;

	if (self->runner) {
		other->cause_process = self->process;
		other->cause_tid = self->tid;
		other->cause_ns = bpf_ktime_get_ns();
		return;
	}
	if (self->cause_ns > other->cause_ns) {
		other->cause_process = self->cause_process;
		other->cause_tid = self->cause_tid;
		other->cause_ns = self->cause_ns;
	}
	unsure = unsure_of(self);
	if (adds_doubt(unsure, &other->unsure))
		other->unsure = unsure;
}

/* The running thread's entry; NULL if it is not of the tree. */
static __always_inline struct svc_task *current_entry(void)
{
	return find_task(running_task());
}

/* Emit SVC_THREAD before the first socket event of a thread, with its name and start. */
static __always_inline void announce(struct svc_task *self)
{
	struct task_struct *task = running_task();

	if (!self->announced && emit_task(SVC_THREAD, task, self->process, 0, 0, self->lineage_ns) == 0)
		self->announced = 1;
}

#endif
