/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a process reads from a name server, or from systemd's resolver: the names of the addresses that it uses next. */
#ifndef RECEIVES_H
#define RECEIVES_H

#include "sends.h"

/*
 * Whether a socket's peer is one of these. A TCP socket, and a connected UDP socket, has its port; of the others, a
 * send showed it.
 */
static __always_inline bool reads_answers(const struct sock *sk)
{
	__u16 family = FIELD(sk, __sk_common.skc_family);
	struct svc_socket *entry;

	if (family == AF_INET || family == AF_INET6) {
		if (FIELD(sk, __sk_common.skc_dport) == bpf_htons(NAME_SERVER_PORT))
			return true;
		if (FIELD(sk, sk_type) == SOCK_STREAM)
			return false;
	} else if (family != AF_UNIX) {
		return false;
	}
	entry = find_socket(sk);
	return entry && entry->resolver;
}

/* The end of every read from a socket, in the reader's context, after its bytes were copied: `received`, or -errno. */
static __always_inline void on_receive(const struct sock *sk, int received)
{
	struct svc_task *self = current_entry();
	const struct pt_regs *regs;

	if (!self || received <= 0 || !reads_answers(sk))
		return;
	regs = current_regs();
	read_receive_args(&self->args, regs, syscall_number(regs));
	if (self->args.data)
		emit_data(SVC_ANSWER, sk, received, self);
}

#endif
