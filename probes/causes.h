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

/* Whether a futex is known not to be a Python's own lock, for which threads wait in turn. */
static __always_inline bool may_cause(__u32 process, __u64 futex)
{
	const struct svc_interpreter *known = interpreter_at(process);

	return known && known->process == process && (futex < known->from || futex >= known->to);
}

/* The program for sched_waking, in the waker's context. The kernel wakes a task once at a time (p->pi_lock). */
static __always_inline void on_waking(struct task_struct *woken)
{
	struct task_struct *task = running_task();
	struct svc_task *self = find_task(task), *other;
	const struct pt_regs *regs;
	long number;

	if (!self || woken == task)
		return;
	other = find_task(woken);
	if (!other || other->runner || (!self->runner && self->cause_ns <= other->cause_ns))
		return;
	if (!(FIELD(woken, __state) & TASK_INTERRUPTIBLE))
		return; /* it waits for the disk, or for a lock within the kernel */
	regs = current_regs();
	if (is_in_its_call(task, regs)) {
		number = syscall_number(regs);
		if ((number == NR_futex || number == NR_futex_wake) && !may_cause(self->process, ARG1(regs)))
			return;
	} else if (!self->delivering || self->process != other->process) {
		return;
	}
	pass_cause(self, other);
}

/*
 * The program for sk_data_ready (since 6.3): a socket has received data. The loopback device delivers within the
 * sender's call, but in an interrupt's context. What that wakes is caused by the sender if it is of the same process:
 * some clients wake their own threads by a pair of TCP sockets. A reply of a server in the tree causes nothing: the
 * server's cause may be another client.
 */
static __always_inline void on_data_ready(const struct sock *sk)
{
	struct svc_task *self = find_task(running_task());
	const struct pt_regs *regs;
	struct sock *sender;
	long number;

	if (!self || FIELD(sk, __sk_common.skc_family) == AF_UNIX)
		return;
	regs = current_regs();
	number = syscall_number(regs);
	if (number != NR_sendto && number != NR_sendmsg && number != NR_write && number != NR_writev)
		return;
	sender = sock_of_fd(ARG1(regs));
	if (BPF_CORE_READ((struct inet_sock *)sender, inet_sport) == FIELD(sk, __sk_common.skc_dport) &&
	    bpf_ntohs(BPF_CORE_READ(sender, __sk_common.skc_dport)) == FIELD(sk, __sk_common.skc_num))
		self->delivering = 1; /* the send's end resets it */
}

#endif
