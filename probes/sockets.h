/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How the probes read sockets and addresses. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "tasks.h"

/* A sockaddr of either internet family: its layout is ABI. */
struct sockaddr_any {
	__u16 family;
	union {
		struct {
			__be16 port;
			__u8 address[4];
		} in;
		struct {
			__be16 port;
			__u8 flowinfo[4];
			__u8 address[16];
		} in6;
	};
};
_Static_assert(sizeof(struct sockaddr_any) == 24, "sockaddr_in6 without its scope");

static __always_inline __u64 inode_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline void set_socket(struct svc_event *event, const struct sock *sk)
{
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	event->network = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->socket = inode_of(sk);
	event->protocol = event->family == AF_UNIX ? 0 : BPF_CORE_READ(sk, sk_protocol);
}

static __always_inline void set_peer(struct svc_event *event, const struct sock *sk)
{
	event->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (event->family == AF_INET)
		BPF_CORE_READ_INTO((__be32 *)event->peer, sk, __sk_common.skc_daddr);
	else if (event->family == AF_INET6)
		BPF_CORE_READ_INTO(&event->peer, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

/*
 * Take the peer and the family from a sockaddr in user space: a UDP socket of AF_INET6 accepts AF_INET addresses too.
 * Returns the family of the address; 0 without one.
 */
static __always_inline __u16 set_peer_from_user(struct svc_event *event, const void *name, __u32 len)
{
	struct sockaddr_any address = {};

	if (!name || len < sizeof(address.family) || bpf_probe_read_user(&address.family, sizeof(__u16), name))
		return 0;
	if (address.family == AF_INET && bpf_probe_read_user(&address, 8, name) == 0) {
		__builtin_memset(event->peer, 0, sizeof(event->peer));
		__builtin_memcpy(event->peer, address.in.address, 4);
		event->family = AF_INET;
		event->port = bpf_ntohs(address.in.port);
	} else if (address.family == AF_INET6 && bpf_probe_read_user(&address, 24, name) == 0) {
		__builtin_memcpy(event->peer, address.in6.address, 16);
		event->family = AF_INET6;
		event->port = bpf_ntohs(address.in6.port);
	}
	return address.family;
}

/* Bound a length for the verifier: otherwise the compiler may compare another register than the one that it uses. */
static __always_inline __u64 at_most(__u64 len, __u64 max)
{
	asm volatile("" : "+r"(len));
	return len > max ? max : len;
}

static __always_inline void set_path_from_user(struct svc_socket_event *record, const void *name, __u32 len)
{
	const __u32 before = sizeof(__u16); /* sun_family */

	if (!name || len <= before)
		return;
	len = at_most(len - before, SVC_PATH_LEN);
	if (bpf_probe_read_user(record->path, len, name + before) == 0)
		record->path_len = len;
}

static __always_inline __u32 name_len(struct unix_address *address)
{
	__u32 len = address ? BPF_CORE_READ(address, len) : 0;

	if (len <= sizeof(__u16))
		return 0;
	asm volatile("" : "+r"(len)); /* keeps the check before the subtraction, for older verifiers */
	return len - sizeof(__u16);
}

static __always_inline void set_path(struct svc_socket_event *record, struct unix_address *address)
{
	__u32 len = at_most(name_len(address), SVC_PATH_LEN);

	if (len &&
	    bpf_probe_read_kernel(record->path, len,
				  (void *)address + bpf_core_field_offset(struct unix_address, name[0].sun_path)) == 0)
		record->path_len = len;
}

/* SVC_LOCAL or 0. A machine reaches each of its own addresses from that same address. */
static __always_inline __u8 local_flag(const struct sock *sk)
{
	__u64 own[2] = {}, peer[2] = {};

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		own[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		peer[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	} else {
		BPF_CORE_READ_INTO((__u8(*)[16])own, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO((__u8(*)[16])peer, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
	return (own[0] || own[1]) && own[0] == peer[0] && own[1] == peer[1] ? SVC_LOCAL : 0;
}

/* Whether an event's peer is known to be on this machine: by SVC_LOCAL, or by a loopback address. */
static __always_inline bool is_local(const struct svc_event *event)
{
	const __u32 *words = (const __u32 *)event->peer;

	if (event->flags & SVC_LOCAL)
		return true;
	if (event->family == AF_INET)
		return event->peer[0] == 127;
	if (words[0] || words[1])
		return false;
	return (!words[2] && words[3] == bpf_htonl(1)) || (words[2] == bpf_htonl(0xffff) && event->peer[12] == 127);
}

/* Set the peer's fields to the socket's own address. */
static __always_inline void set_own(struct svc_event *event, const struct sock *sk)
{
	/* Not skc_num: a port that the kernel chose is already released when SVC_LISTEN_END is emitted. */
	event->port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	if (event->family == AF_INET)
		BPF_CORE_READ_INTO((__be32 *)event->peer, sk, __sk_common.skc_rcv_saddr);
	else if (event->family == AF_INET6)
		BPF_CORE_READ_INTO(&event->peer, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
}

static __always_inline void set_listener(struct svc_socket_event *record, const struct sock *sk)
{
	struct pid *pid = BPF_CORE_READ(sk, sk_peer_pid);

	if (!pid)
		return;
	record->peer_pid = BPF_CORE_READ(pid, numbers[0].nr);
	record->event.pid_generation = pid_generation(pid);
}

static __always_inline __s64 cause_time(__u64 ns)
{
	const struct svc_control *control = shared();

	return control && control->causes ? (__s64)ns : SVC_UNKNOWN_CAUSE;
}

static __always_inline void set_cause(struct svc_event *event, const struct svc_task *self)
{
	struct svc_unsure unsure = {};

	if (!self->runner)
		unsure = unsure_of(self);
	event->unsure_from_ns = unsure.from_ns;
	event->unsure_to_ns = unsure.to_ns;
	event->cause_process = self->runner ? self->process : self->cause_process;
	event->cause_tid = self->runner ? self->tid : self->cause_tid;
	event->cause_ns = cause_time(self->runner ? event->ns : self->cause_ns);
}

/* Set the fields of every event of a thread, without its cause. */
static __always_inline void set_thread(struct svc_event *event, __u8 kind, const struct svc_task *self)
{
	event->ns = bpf_ktime_get_ns();
	event->kind = kind;
	event->process = self->process;
	event->tid = self->tid;
}

static __always_inline void set_origin(struct svc_event *event, __u8 kind, const struct svc_task *self)
{
	set_thread(event, kind, self);
	set_cause(event, self);
}

/* Read up to `max` (a power of two) of the bytes that a call sent or read; returns how many. */
static __always_inline __u32 read_data(void *to, __u32 max, const struct call_args *args, int moved)
{
	__u64 len = args->len;

	if (!args->data || moved <= 0)
		return 0;
	if (len > (__u32)moved)
		len = moved;
	len = at_most(len, max);
	if (len == 0 || bpf_probe_read_user(to, len, (const void *)args->data))
		return 0;
	return len;
}

#endif
