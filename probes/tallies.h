/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sends that are counted in a tally: see svc_tally in svc_trace.h. */
#ifndef TALLIES_H
#define TALLIES_H

#include "sockets.h"

/* A number for the current peer of a socket; 0 for a stream, whose peer changes only by a new connect. */
static __always_inline __u64 current_peer(const struct sock *sk, __u16 family, __u16 type)
{
	__u32 address[4] = {};

	if (type == SOCK_STREAM)
		return 0;
	if (family == AF_UNIX)
		return (__u64)BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (family == AF_INET)
		address[0] = FIELD(sk, __sk_common.skc_daddr);
	else
		BPF_CORE_READ_INTO((__u8(*)[16])address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	return ((__u64)(address[0] ^ address[1] ^ address[2] ^ address[3]) << 32) | FIELD(sk, __sk_common.skc_dport);
}

/* Whether a socket's tally is valid: it began in this epoch, and will not be overwritten soon. */
static __always_inline bool has_tally(const struct svc_socket *entry)
{
	const struct svc_control *control = shared();

	return control && entry->tally_epoch == control->epoch && tallies_since(entry->tally) < SVC_TALLIES / 2;
}

/*
 * The time of a thread's cause; of all times in the running epoch, the epoch's beginning. So causes with the same time
 * and runner were all asked for by the same test, or all not: no test begins within an epoch.
 */
static __always_inline __u64 cause_in_epoch(const struct svc_task *self)
{
	__u64 began = epoch_ns();

	return self->cause_ns > began ? began : self->cause_ns;
}

/* Whether the cause of a thread is unsure in the running epoch. */
static __always_inline bool is_unsure(const struct svc_task *self)
{
	return unsure_of(self).to_ns >= epoch_ns();
}

static __always_inline bool has_cause(const struct svc_socket *entry, const struct svc_task *self)
{
	return self->runner ||
	       (entry->tally_unsure == is_unsure(self) && entry->tally_cause_ns == cause_in_epoch(self) &&
		entry->tally_cause_process == self->cause_process && entry->tally_cause_tid == self->cause_tid);
}

/*
 * Count a send in the tally of its socket. Returns false if it needs an event: the tally is another thread's or another
 * peer's. In a thread that is no runner's, such as one of librdkafka, only the bytes and the cause show which test
 * requested a send: there, a tally counts only sends with the same first bytes and the same cause.
 */
static __always_inline bool count_send(__u64 peer, const struct svc_socket *entry, const struct svc_task *self,
				       int sent)
{
	const struct call_args *args = &self->args;
	const __u64 *known = (const __u64 *)entry->tally_head;
	__u64 head[SVC_HEAD_LEN / sizeof(__u64)] = {};
	struct svc_tally *tally;

	if (sent < 0 || args->name || !has_tally(entry) || entry->tally_process != self->process ||
	    entry->tally_tid != self->tid || entry->tally_peer != peer || !has_cause(entry, self))
		return false;
	if (!self->runner) {
		read_data(head, SVC_HEAD_LEN, args, sent);
		if (head[0] != known[0] || head[1] != known[1])
			return false;
	}
	tally = tally_of(entry->tally);
	if (!tally)
		return false;
	tally->last_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&tally->bytes, sent);
	__sync_fetch_and_add(&tally->sends, 1);
	return true;
}

/* Begin a tally for the next sends on this socket, in this epoch, by this thread, to this peer. */
static __always_inline void begin_tally(struct svc_event *event, __u64 peer, struct svc_socket *entry,
					const struct svc_task *self)
{
	const struct svc_control *control = shared();
	struct svc_tally *tally;
	__u32 epoch, serial;

	if (!control || event->result < 0 || self->args.name)
		return;
	if (has_tally(entry) && entry->tally_peer == peer &&
	    (entry->tally_process != self->process || entry->tally_tid != self->tid || has_cause(entry, self)))
		return; /* the tally of another thread, or of other first bytes, is valid */
	epoch = control->epoch;
	serial = next_tally();
	tally = tally_of(serial);
	if (!tally)
		return;
	tally->last_ns = event->ns;
	tally->bytes = 0;
	tally->sends = 0;
	tally->epoch = epoch;
	entry->tally = serial;
	entry->tally_epoch = epoch;
	entry->tally_process = event->process;
	entry->tally_tid = event->tid;
	entry->tally_peer = peer;
	entry->tally_unsure = is_unsure(self);
	entry->tally_cause_ns = cause_in_epoch(self);
	entry->tally_cause_process = self->cause_process;
	entry->tally_cause_tid = self->cause_tid;
	__builtin_memcpy(entry->tally_head, event->head, SVC_HEAD_LEN);
	event->tally = serial;
}

#endif
