/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the kernel passes to cgroup programs at connect, at sendmsg and for packets: include/uapi/linux/bpf.h, whose
 * layout is ABI.
 * Ports are in network byte order unless it is said otherwise.
 */
#ifndef SOCKET_ADDRESSES_H
#define SOCKET_ADDRESSES_H

#include "integers.h"

struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 mark;
	__u32 priority;
	__be32 src_ip4;
	__be32 src_ip6[4];
	__u32 src_port; /* host byte order */
	__be16 dst_port; /* 0: not connected */
	__u16 unused; /* 0 */
	__be32 dst_ip4;
	__be32 dst_ip6[4];
};

struct bpf_sock_tuple {
	union {
		struct {
			__be32 saddr;
			__be32 daddr;
			__be16 sport;
			__be16 dport;
		} ipv4;
		struct {
			__be32 saddr[4];
			__be32 daddr[4];
			__be16 sport;
			__be16 dport;
		} ipv6;
	};
};

struct bpf_sock_addr {
	__u32 user_family;
	__be32 user_ip4;
	__be32 user_ip6[4];
	__u32 user_port;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__be32 msg_src_ip4;
	__be32 msg_src_ip6[4];
	struct bpf_sock *sk __attribute__((aligned(8)));
};
_Static_assert(sizeof(struct bpf_sock_addr) == 72, "the field sk is at offset 64");

/* A packet; of its fields, only the socket that sends it is named. */
struct __sk_buff {
	__u32 other[42];
	struct bpf_sock *sk __attribute__((aligned(8)));
};
_Static_assert(sizeof(struct __sk_buff) == 176, "the field sk is at offset 168");

#endif
