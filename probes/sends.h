/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Events of sends, and of sockets that can be reached. */
#ifndef SENDS_H
#define SENDS_H

#include "syscall_args.h"
#include "tasks.h"
#include "tallies.h"

enum { NAME_SERVER_PORT = 53 };

/* 8 characters as a number in the byte order of x86-64 and arm64. */
#define WORD(a, b, c, d, e, f, g, h)                                                                                   \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | (__u64)(f) << 40 |    \
	 (__u64)(g) << 48 | (__u64)(h) << 56)

/* The name of a unix socket's peer; NULL if it has none: a socketpair, or the accepting side of a connection. */
static __always_inline struct unix_address *peer_name(const struct sock *sk)
{
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	struct unix_address *name = peer ? BPF_CORE_READ((struct unix_sock *)peer, addr) : NULL;

	return name_len(name) ? name : NULL;
}

/*
 * Whether a unix socket is the accepting side of a connection: it shares its name with the listener
 * (unix_stream_connect). Without the listener, this is visible only while another accepted socket exists.
 */
static __always_inline bool shares_its_name(const struct sock *sk)
{
	struct unix_address *own = BPF_CORE_READ((struct unix_sock *)sk, addr);

	return own && BPF_CORE_READ(own, refcnt.refs.counter) > 1;
}

/*
 * Append buffer `number` of a send of `sent` bytes. Returns whether another one may follow. How many bytes there are so
 * far stands in the record: in a register, the verifier would track each of its values.
 */
CHECKED_ALONE int append_buffer(struct svc_data_event *record, const struct user_msghdr *msg, __u32 number, __u32 sent)
{
	volatile __u32 *joined;
	struct iovec buffer;
	__u64 len, at;

	if (!record || !msg)
		return false;
	joined = &record->data_len;
	at = *joined;
	if (at >= SVC_DATA_LEN || at >= sent || number >= msg->msg_iovlen ||
	    bpf_probe_read_user(&buffer, sizeof(buffer), msg->msg_iov + number))
		return false;
	len = at_most(buffer.iov_len, SVC_BUFFER_LEN);
	if (len && bpf_probe_read_user(record->data + at, len, buffer.iov_base))
		return false;
	*joined = at + len;
	return len == buffer.iov_len; /* not only its beginning */
}

/* Join the first buffers of a send of `sent` bytes. */
static __always_inline void join_buffers(struct svc_data_event *record, const struct user_msghdr *msg, __u32 sent)
{
	volatile __u32 *joined = &record->data_len;

	for (__u32 i = 0; i < SVC_BUFFERS && append_buffer(record, msg, i, sent); i++)
		;
	*joined = at_most(at_most(*joined, sent), SVC_DATA_LEN);
}

/* Emit the first bytes that a thread sent or read, which may contain names of hosts. */
static __always_inline void emit_data(__u8 kind, const struct sock *sk, int moved, const struct svc_task *self)
{
	struct svc_data_event *record = reserve_part(sizeof(*record), sizeof(*record) - SVC_DATA_LEN - SVC_BUFFER_LEN);
	const struct pt_regs *regs;
	struct user_msghdr msg;

	if (!record) /* at once: Linux 6.1's verifier does not know that reserve_part() has checked it */
		return;
	set_thread(&record->event, kind, self);
	set_socket(&record->event, sk);
	if (record->event.family != AF_UNIX)
		set_peer(&record->event, sk);
	record->event.result = moved;
	if (kind == SVC_OPENING) {
		regs = current_regs();
		read_buffers(&msg, regs, syscall_number(regs));
	}
	if (kind == SVC_OPENING && msg.msg_iovlen > 1)
		join_buffers(record, &msg, moved);
	else
		record->data_len = read_data(record->data, SVC_DATA_LEN, &self->args, moved);
	submit(record);
}

/* Whether a peer answers with addresses of hosts: a name server, or the resolver of systemd, by its path. */
static __always_inline bool is_resolver(const struct svc_socket_event *record)
{
	const __u64 *words = (const __u64 *)record->path;

	if (record->event.family != AF_UNIX)
		return record->event.port == NAME_SERVER_PORT;
	return words[0] == WORD('/', 'r', 'u', 'n', '/', 's', 'y', 's') &&
	       words[1] == WORD('t', 'e', 'm', 'd', '/', 'r', 'e', 's') &&
	       words[2] == WORD('o', 'l', 'v', 'e', '/', 'i', 'o', '.') &&
	       words[3] == WORD('s', 'y', 's', 't', 'e', 'm', 'd', '.') &&
	       words[4] == WORD('R', 'e', 's', 'o', 'l', 'v', 'e', 0);
}

/* A socket can be reached, or cannot any more: TCP has to listen; a datagram socket only needs a name. */
static __always_inline void emit_listen(const struct sock *sk, __u8 kind, const struct svc_task *self)
{
	struct svc_socket_event *record = reserve(sizeof(*record));

	if (!record)
		return;
	set_origin(&record->event, kind, self);
	set_socket(&record->event, sk);
	record->event.flags = SVC_DETAIL;
	if (record->event.family == AF_UNIX)
		set_path(record, BPF_CORE_READ((struct unix_sock *)sk, addr));
	else
		set_own(&record->event, sk);
	submit(record);
}

static __always_inline void emit_send(const struct sock *sk, __u64 peer, int sent, struct svc_task *self,
				      struct svc_socket *entry)
{
	const struct call_args *args = &self->args;
	const void *destination = (const void *)args->name;
	bool is_unix = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX;
	struct unix_address *name = is_unix ? peer_name(sk) : NULL;
	struct svc_socket_event *record;
	bool may_be_answered = false;

	if (is_unix && ((!name && !destination) || (BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM && shares_its_name(sk))))
		return;
	record = reserve(sizeof(*record));
	if (!record)
		return;
	set_origin(&record->event, SVC_SEND, self);
	set_socket(&record->event, sk);
	record->event.flags = SVC_DETAIL;
	record->event.result = sent;
	record->event.head_len = read_data(record->event.head, SVC_HEAD_LEN, args, sent);
	if (is_unix) {
		if (destination)
			set_path_from_user(record, destination, args->name_len);
		else
			set_path(record, name);
		set_listener(record, sk);
	} else {
		set_peer(&record->event, sk);
		if (record->event.protocol == IPPROTO_TCP ||
		    !set_peer_from_user(&record->event, destination, args->name_len)) {
			if (sent < 0 && !record->event.port) {
				/* No peer: never connected, or an attempt failed, which emitted an event. */
				discard(record);
				return;
			}
			record->event.flags |= local_flag(sk);
		}
		may_be_answered =
			record->event.protocol == IPPROTO_UDP && sent >= 0 && !entry->named && is_local(&record->event);
	}
	if (entry->prefixes < SVC_PREFIXES) {
		record->prefix_len = read_data(record->prefix, SVC_PREFIX_LEN, args, sent);
		entry->prefixes++;
		entry->resolver = is_resolver(record);
		if (record->event.protocol == IPPROTO_TCP && sent > SVC_PREFIX_LEN)
			self->opening = sent;
	} else {
		begin_tally(&record->event, peer, entry, self);
	}
	submit(record);
	if (may_be_answered) {
		entry->named = 1;
		emit_listen(sk, SVC_LISTEN, self); /* a process on this machine may answer to this port */
	}
}

/* Emit the first bytes of a send, more than its prefix. */
CHECKED_ALONE int emit_opening(struct svc_task *self, int sent)
{
	if (self)
		emit_data(SVC_OPENING, (const struct sock *)self->sending, sent, self);
	return 0;
}

/*
 * Emit the events of a send that count_send() has not counted. Its socket is in `sending` of the thread's entry,
 * because the verifier accepts no kernel pointer as an argument of such a function.
 */
CHECKED_ALONE int emit_uncounted(struct svc_task *self, __u64 peer, int sent, struct svc_socket *entry)
{
	__u32 opening;

	if (!self || !entry)
		return 0;
	announce(self);
	emit_send((const struct sock *)self->sending, peer, sent, self, entry);
	/* Here, where the paths through emit_send() have come together for the verifier. */
	opening = self->opening;
	if (opening) {
		self->opening = 0;
		emit_opening(self, opening);
	}
	return 0;
}

/* The end of a send, in the sender's context: `sent` bytes, or -errno. */
static __always_inline void on_send(struct sock *sk, int sent)
{
	struct svc_task *self = current_entry();
	struct svc_socket *entry;
	const struct pt_regs *regs;
	__u16 family, type;
	__u64 peer;
	long number;

	if (!self)
		return;
	self->delivering = 0;
	if (sent == -EAGAIN) /* no room */
		return;
	type = FIELD(sk, sk_type);
	family = FIELD(sk, __sk_common.skc_family);
	if (sent == 0 && type == SOCK_STREAM) /* nothing to send */
		return;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return;
	entry = socket_entry(sk);
	if (!entry || entry->accepted)
		return;
	peer = current_peer(sk, family, type);
	self->args.name = 0;
	/* By far the most common case, and the only one that does not depend on the call's arguments. */
	if (type == SOCK_STREAM && self->runner && count_send(peer, entry, self, sent))
		return;
	regs = current_regs();
	number = syscall_number(regs);
	read_send_args(&self->args, regs, number, self->message);
	if (number == NR_sendmmsg)
		self->message++; /* its exit resets it */
	if (count_send(peer, entry, self, sent))
		return;
	self->sending = (__u64)sk;
	emit_uncounted(self, peer, sent, entry);
	self->sending = 0;
}

#endif
