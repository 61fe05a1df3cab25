/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Processes of the tree: fork copies the parent's entry; fork, exec and exit emit events. */
#ifndef PROCESSES_H
#define PROCESSES_H

#include "tasks.h"

/* A forked process has its parent's memory, at the same addresses. */
static __always_inline void copy_interpreter(__u32 parent, __u32 child)
{
	const struct svc_interpreter *from = interpreter_at(parent);
	struct svc_interpreter *to = interpreter_at(child);

	if (!from || !to)
		return;
	to->from = from->from;
	to->to = from->to;
	to->process = from->process == parent ? child : 0;
}

static __always_inline void on_fork(struct task_struct *parent, struct task_struct *child)
{
	struct svc_task *from = find_task(parent);
	struct svc_task born = {};
	__u32 pidns;

	if (!from)
		return;
	born.process = from->process;
	born.waited_ns = epoch_ns();
	if (FIELD(child, pid) == FIELD(child, tgid))
		born.process = next_process();
	pass_cause(from, &born);
	born.lineage_ns = from->runner || !from->lineage_ns ? FIELD(child, start_time) : from->lineage_ns;
	read_pid(child, &born.tid, &pidns);
	if (born.process != from->process)
		copy_interpreter(from->process, born.process);
	if (add_task(child, &born) && born.process != from->process)
		emit_task(SVC_FORK, child, born.process, from->process, 0, born.lineage_ns);
}

static __always_inline void on_exec(struct task_struct *task)
{
	struct svc_task *self = find_task(task);
	struct svc_interpreter *replaced;
	__u32 pidns;

	if (!self)
		return;
	replaced = interpreter_at(self->process);
	if (replaced && replaced->process == self->process)
		replaced->process = 0;
	read_pid(task, &self->tid, &pidns); /* exec in a thread makes it the leader, with the leader's pid */
	self->announced = 0;
	emit_task(SVC_EXEC, task, self->process, 0, 0, self->lineage_ns);
}

static __always_inline void on_exit(struct task_struct *task)
{
	struct svc_task *self = find_task(task);

	if (self && self->sending)
		count_lost();
	/*
	 * do_exit() decrements signal->live before this tracepoint: if several threads end at the same time, more than
	 * one of them may find that none is left.
	 */
	if (!self || BPF_CORE_READ(task, signal, live.counter))
		return;
	if (claim_exit(FIELD(task, group_leader)))
		emit_task(SVC_EXIT, task, self->process, 0, BPF_CORE_READ(task, exit_code), self->lineage_ns);
}

#endif
