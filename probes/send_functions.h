/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Sends as the kernel's own functions tell them, where it has no sock_send_length: the sendmsg of each family's struct
 * proto_ops, which all calls that send go through (sock_sendmsg_nosec), and until 6.4 its sendpage, which sendfile and
 * splice go through (kernel_sendpage). Some call one another: each send is told by one of them.
 */
#ifndef SEND_FUNCTIONS_H
#define SEND_FUNCTIONS_H

#include "connections.h"

/* Whether unix_dgram_sendmsg runs within unix_seqpacket_sendmsg, which checks more and ends later. */
static __always_inline bool is_within_seqpacket(const struct sock *sk)
{
	return FIELD(sk, sk_type) == SOCK_SEQPACKET;
}

/* Whether inet_sendpage only leads to inet_sendmsg, by sock_no_sendpage: the protocol has none, such as MPTCP. */
static __always_inline bool leads_to_sendmsg(const struct sock *sk)
{
	return !BPF_CORE_READ(sk, __sk_common.skc_prot, sendpage);
}

/*
 * With kprobes, the beginning of the function leaves the socket to its end. The kernel may miss an end: it has room for
 * a number of calls that run at a time, and some of them wait. Then the end of the system call tells the send, if it
 * was the only one of the call; else it is counted as lost.
 */
static __always_inline void on_send_begins(const struct sock *sk)
{
	struct svc_task *self = current_entry();

	if (!self)
		return;
	if (self->sending)
		count_lost();
	self->sending = (__u64)sk;
}

static __always_inline void on_send_ends(int sent)
{
	struct svc_task *self = current_entry();
	struct sock *sk;

	if (!self || !self->sending)
		return; /* of another task, or told by a function within this one */
	sk = (struct sock *)self->sending;
	self->sending = 0;
	on_send(sk, sent);
}

static __always_inline void on_missed_end(const struct pt_regs *regs, long result)
{
	struct svc_task *self = current_entry();
	long number;

	if (!self || !self->sending)
		return;
	number = syscall_number(regs);
	if ((number == NR_sendto || number == NR_sendmsg || number == NR_write || number == NR_writev ||
	     number == NR_pwritev2) &&
	    sock_of_fd(ARG1(regs)) == (struct sock *)self->sending) {
		on_send_ends(result);
	} else {
		self->sending = 0;
		count_lost();
	}
}

#endif
