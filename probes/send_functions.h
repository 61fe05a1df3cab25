/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Sends on kernels without the tracepoint sock_send_length: probes at the functions that send. All calls that send go
 * through the sendmsg of a struct proto_ops (sock_sendmsg_nosec); until 6.4, sendfile and splice go through its
 * sendpage (kernel_sendpage). Some of these functions call one another; only one of them emits the event.
 */
#ifndef SEND_FUNCTIONS_H
#define SEND_FUNCTIONS_H

#include "connections.h"

/* Whether unix_dgram_sendmsg was called by unix_seqpacket_sendmsg, which emits the event: it ends later. */
static __always_inline bool is_within_seqpacket(const struct sock *sk)
{
	return FIELD(sk, sk_type) == SOCK_SEQPACKET;
}

/* Whether inet_sendpage calls inet_sendmsg (sock_no_sendpage): the protocol has no sendpage, such as MPTCP. */
static __always_inline bool leads_to_sendmsg(const struct sock *sk)
{
	return !BPF_CORE_READ(sk, __sk_common.skc_prot, sendpage);
}

/*
 * Of the two kprobes at a function, the first remembers the socket for the second. The kernel can miss the function's
 * end, because it has room for a limited number of running calls. Then the end of the system call emits the send, if
 * the call makes only one; otherwise the send is counted as lost.
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
		return; /* another task's, or a function within this one has emitted it */
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
	    sock_of_file(file_of_fd(ARG1(regs))) == (struct sock *)self->sending) {
		on_send_ends(result);
	} else {
		self->sending = 0;
		count_lost();
	}
}

#endif
