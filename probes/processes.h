/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The tree from birth: fork hands the entry on, exec and exit are told. */
#ifndef PROCESSES_H
#define PROCESSES_H

#include "tasks.h"

static __always_inline void on_fork(struct task_struct *parent, struct task_struct *child)
{
	struct svc_task *from = bpf_task_storage_get(&tasks, parent, 0, 0);
	struct svc_task born = {};
	__u32 pidns;

	if (!from)
		return;
	born.process = from->process;
	if (FIELD(child, pid) == FIELD(child, tgid))
		born.process = __sync_fetch_and_add(&control.last_process, 1) + 1;
	born.line_ns = from->runner || !from->line_ns ? FIELD(child, start_time) : from->line_ns;
	read_pid(child, &born.tid, &pidns);
	if (!bpf_task_storage_get(&tasks, child, &born, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		count_lost();
		return;
	}
	if (born.process != from->process)
		tell_task(SVC_FORK, child, born.process, from->process, 0, born.line_ns);
}

static __always_inline void on_exec(struct task_struct *task)
{
	struct svc_task *self = bpf_task_storage_get(&tasks, task, 0, 0);
	__u32 pidns;

	if (!self)
		return;
	read_pid(task, &self->tid, &pidns); /* exec in a thread makes it the leader, with its pid */
	self->announced = 0;
	tell_task(SVC_EXEC, task, self->process, 0, 0, self->line_ns);
}

static __always_inline void on_exit(struct task_struct *task)
{
	struct svc_task *self = bpf_task_storage_get(&tasks, task, 0, 0);
	struct svc_task *first;

	/*
	 * do_exit() counts the thread out of signal->live before this tracepoint: of threads that end at the same time,
	 * several may see that none is left.
	 */
	if (!self || BPF_CORE_READ(task, signal, live.counter))
		return;
	first = bpf_task_storage_get(&tasks, FIELD(task, group_leader), 0, 0);
	if (first && __sync_fetch_and_add(&first->ended, 1) == 0)
		tell_task(SVC_EXIT, task, self->process, 0, FIELD(task, exit_code), self->line_ns);
}

#endif
