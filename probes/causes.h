/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Causes: the runner's thread whose activity last woke a thread of the tree, directly or through other threads. A
 * runner's thread that wakes another thread within a system call becomes its cause, now. Any other thread passes its
 * own cause on, if that is newer. So does the birth of a thread. A cause remains until a newer one.
 *
 * These wake-ups change nothing: by timers, interrupts, the network and processes outside of the tree; by the lock of a
 * Python; by locks within the kernel.
 */
#ifndef CAUSES_H
#define CAUSES_H

#include "connections.h"

/*
 * Whether the running task wakes another one by its system call, and not in an interrupt.
 *
 * An interrupt in kernel mode has a stack of its own. One in user mode has the task's, but no system call's number. So
 * this must be inlined into the program, whose stack must be the kernel's: since Linux 6.13, a program with 64 bytes of
 * stack or more gets another one. The tracer finds out by a trial whether this works.
 */
static __always_inline bool is_in_its_call(struct task_struct *task, const struct pt_regs *regs)
{
	__u64 here, bottom = (__u64)FIELD(task, stack);

	asm volatile("%0 = r10" : "=r"(here));
	/* The registers are at the top of the task's stack, which grows down. */
	return here >= bottom && here < (__u64)regs && (long)NUMBER(regs) >= 0;
}

/*
 * Whether a thread that waits may wait for its Python's own lock, for which threads take turns: it waits on a futex
 * among the Python's static data, or on any futex of a process whose Python is not known yet.
 */
static __always_inline bool may_await_its_turn(struct task_struct *task, __u32 process)
{
	const struct pt_regs *regs = regs_of(task);
	const struct svc_interpreter *known;
	long number = syscall_number(regs);
	__u64 futex;

	if (number != NR_futex && number != NR_futex_wait)
		return false;
	known = interpreter_at(process);
	if (!known || known->process != process)
		return true;
	futex = ARG1(regs);
	return futex >= known->from && futex < known->to;
}

/*
 * The program for sched_waking, in the waker's context. The kernel wakes a task once at a time (p->pi_lock). Most
 * wake-ups change nothing, so this is found out first.
 */
static __always_inline void on_waking(struct task_struct *woken)
{
	struct svc_task *other, *self;
	struct task_struct *task;
	bool news;

	if (!may_have_entry(woken)) /* most of the machine's tasks */
		return;
	other = find_task(woken);
	if (!other || other->runner)
		return;
	task = running_task();
	self = find_task(task);
	news = self && woken != task && has_news(self, other);
	if (!news && other->waited_ns == epoch_ns())
		return;
	if (!(FIELD(woken, __state) & TASK_INTERRUPTIBLE))
		return; /* it waits for the disk, or for a lock within the kernel */
	if (may_await_its_turn(woken, other->process))
		return;
	/* A runner's thread asks servers in the tree, too. What another thread sends to another process may be an
	 * answer. */
	if (news && (is_in_its_call(task, current_regs()) ||
		     (self->delivering && (self->runner || self->process == other->process))))
		pass_cause(self, other);
	other->waited_ns = epoch_ns();
}

/*
 * The program for sk_data_ready (since 6.3): a socket has received data or, if it listens, a connection. The loopback
 * device delivers within the sender's call, but in an interrupt's context. What that wakes is caused by the sender:
 * some clients wake their own threads by a pair of TCP sockets, and a test asks a server of its own.
 */
static __always_inline void on_data_ready(const struct sock *sk)
{
	struct svc_task *self = current_entry();
	const struct pt_regs *regs;
	struct sock *sender;
	__be16 port;
	long number;

	if (!self || FIELD(sk, __sk_common.skc_family) == AF_UNIX)
		return;
	regs = current_regs();
	number = syscall_number(regs);
	if (number != NR_sendto && number != NR_sendmsg && number != NR_write && number != NR_writev &&
	    number != NR_connect)
		return;
	sender = sock_of_file(file_of_fd(ARG1(regs)));
	if (bpf_ntohs(BPF_CORE_READ(sender, __sk_common.skc_dport)) != FIELD(sk, __sk_common.skc_num))
		return;
	port = FIELD(sk, __sk_common.skc_dport);
	if (port == 0 /* it listens */ || port == BPF_CORE_READ((struct inet_sock *)sender, inet_sport))
		self->delivering = 1; /* the end of the call resets it */
}

#endif
