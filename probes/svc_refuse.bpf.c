// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * Refuses services to one cgroup, the traced tree's, as if they were stopped. A run that refuses nothing does not load
 * this.
 *
 * TCP and UDP: the port belongs to a group of ports, the networks of a group are in a trie, and the longest network
 * that contains the address names the target. So the cost does not depend on the number of targets, and a port that no
 * target has costs one load. What a socket of the tree serves is not refused: the kernel itself is asked which socket a
 * packet to the peer would reach.
 *
 * A connect by TCP fails. A datagram is lost: its sender meets no error. That is decided by the address which the
 * program gave, because that of the packet may already be translated (NAT): at the call for a send with an address, and
 * at the packet for a connected socket.
 *
 * Unix sockets: by the exact name.
 */
#include "svc_refuse.h"
#include "constants.h"
#include "socket_addresses.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_SK_STORAGE = 24,
};
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};
#define BPF_F_CURRENT_NETNS (-1L)

/* What these programs return. */
#define REFUSED 0
#define ALLOWED 1
#define LOST 2 /* of packets: dropped; UDP then reports a success, unless the socket has IP_RECVERR (ENOBUFS) */

#define NO_TARGET SVC_EXCEPTED

#define LOOPBACK bpf_htonl(0x7f000001) /* 127.0.0.1 */
#define MAPPED bpf_htonl(0xffff) /* the third word of ::ffff:0:0/96 */
#define NESTED 16 /* cgroups that the tree may create within one another */

/* The kernel's own types, with the fields that are read (CO-RE). */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup; /* since 5.15, commit 8520e224f547; always a cgroup of version 2 */
};

struct sock {
	struct sock_cgroup_data sk_cgrp_data;
};

struct sockaddr_un {
	char sun_path[108];
};

struct bpf_sock_addr_kern {
	struct sockaddr_un *uaddr; /* of the programs for unix sockets */
	__u32 uaddrlen; /* since 6.7 */
};

#pragma clang attribute pop

extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak; /* since 6.2 */

/* Set by the loader: whether a program may choose the error (bpf_set_retval, Linux 5.18); otherwise it is EPERM. */
const volatile bool chooses_error SEC(".rodata.error") = true;
/* Set by the loader: the id of the tree's cgroup, the inode number of its directory. */
const volatile __u64 tree SEC(".rodata.tree") = 0;

/* Port in network byte order → its group; of TCP, of UDP. Set by the loader. */
__u16 groups[2][65536];

/* svc_place → index of a target in `refusals`, or SVC_EXCEPTED. Filled by the loader, which sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct svc_place);
	__type(value, __u32);
} places SEC(".maps");

/* svc_name → index in `refusals`. Filled by the loader, which sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct svc_name);
	__type(value, __u32);
} names SEC(".maps");

/* Index of a target or name → how often it was refused. The loader sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} refusals SEC(".maps");

/*
 * Sends with an address that are refused: entered at the call, read when its packet comes. An entry of a socket without
 * a peer stays until the next such send of this thread, because multicast makes two packets. If there are too many
 * entries, the oldest one is removed; if its packet has not come yet, the datagram arrives.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct svc_sender);
	__type(value, struct svc_send);
} sends SEC(".maps");

/* The sockets that the command inherits. Filled by the loader; the kernel deletes an entry with its socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} inherited SEC(".maps");

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void count(__u32 target)
{
	__u64 *calls = bpf_map_lookup_elem(&refusals, &target);

	if (calls)
		__sync_fetch_and_add(calls, 1);
}

/* The call fails if it has a target. */
static __always_inline int refuse(__u32 target)
{
	if (target == NO_TARGET)
		return ALLOWED;
	count(target);
	if (chooses_error)
		bpf_set_retval(-ECONNREFUSED);
	return REFUSED;
}

/* The index of the target that contains a place. */
static __always_inline __u32 target_of(struct svc_place *place)
{
	__u32 *target = bpf_map_lookup_elem(&places, place);

	return target ? *target : NO_TARGET;
}

static __always_inline bool is_here(struct svc_place *place)
{
	place->group = SVC_HERE;
	return bpf_map_lookup_elem(&places, place);
}

/* Whether the tree created a socket, or inherited it. */
static __always_inline bool is_of_the_tree(struct bpf_sock *found)
{
	struct sock *sk;
	struct cgroup *cgroup;

	if (bpf_sk_storage_get(&inherited, found, NULL, 0))
		return true;
	bpf_probe_read_kernel(&sk, sizeof(sk), &found); /* the verifier permits no cast of a socket that it knows */
	cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	for (int i = 0; i < NESTED && cgroup; i++) {
		if (BPF_CORE_READ(cgroup, kn, id) == tree)
			return true;
		cgroup = BPF_CORE_READ(cgroup, self.parent, cgroup);
	}
	return false;
}

/*
 * The socket that would get a packet to the peer, if the peer is this machine; the caller releases it. It may be bound
 * to all addresses: then it is found for those of other machines, too.
 */
static __always_inline struct bpf_sock *reached(void *context, bool udp, struct bpf_sock_tuple *packet, __u32 size)
{
	if (udp)
		return bpf_sk_lookup_udp(context, packet, size, BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_tcp(context, packet, size, BPF_F_CURRENT_NETNS, 0);
}

static __always_inline bool same(const __be32 *one, const __be32 *other)
{
	return one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3];
}

/*
 * Whether the tree itself serves the peer. A UDP socket that is connected to this one counts, too: a server of the tree
 * answers it. If this one is bound to all addresses, the packet's source is the one that the kernel would choose.
 */
static __always_inline bool is_served_ipv4(void *context, struct bpf_sock *own, bool udp, struct svc_place *place,
					   __be32 address, __be16 port)
{
	struct bpf_sock_tuple packet = {};
	struct bpf_sock *found;
	bool served;

	packet.ipv4.saddr = own->src_ip4;
	if (!packet.ipv4.saddr)
		packet.ipv4.saddr = place->address[0] == 127 ? LOOPBACK : address;
	packet.ipv4.sport = bpf_htons(own->src_port);
	packet.ipv4.daddr = address;
	packet.ipv4.dport = port;
	found = reached(context, udp, &packet, sizeof(packet.ipv4));
	if (!found)
		return false;
	served = is_of_the_tree(found) && (found->src_ip4 == address || is_here(place));
	bpf_sk_release(found);
	return served;
}

static __always_inline bool is_served_ipv6(void *context, struct bpf_sock *own, bool udp, struct svc_place *place,
					   const __be32 *address, __be16 port)
{
	const __be32 any[4] = {};
	struct bpf_sock_tuple packet = {};
	struct bpf_sock *found;
	bool served;

	for (int i = 0; i < 4; i++) {
		packet.ipv6.saddr[i] = own->src_ip6[i];
		packet.ipv6.daddr[i] = address[i];
	}
	if (same(packet.ipv6.saddr, any))
		__builtin_memcpy(packet.ipv6.saddr, address, sizeof(any));
	packet.ipv6.sport = bpf_htons(own->src_port);
	packet.ipv6.dport = port;
	found = reached(context, udp, &packet, sizeof(packet.ipv6));
	if (!found)
		return false;
	served = is_of_the_tree(found) && (same(found->src_ip6, address) || is_here(place));
	bpf_sk_release(found);
	return served;
}

/* The index of the target that a peer belongs to, without those that the tree serves. */
static __always_inline __u32 target_ipv4(void *context, struct bpf_sock *own, bool udp, __be32 address, __be16 port)
{
	struct svc_place place = {.bits = 32 + 32, .group = groups[udp][port], .family = 4};
	__u32 target;

	if (place.group == SVC_HERE)
		return NO_TARGET;
	if (!address)
		address = LOOPBACK; /* that is where the kernel sends it (ip_route_output_key) */
	__builtin_memcpy(place.address, &address, sizeof(address));
	target = target_of(&place);
	if (target == NO_TARGET || is_served_ipv4(context, own, udp, &place, address, port))
		return NO_TARGET;
	return target;
}

static __always_inline __u32 target_ipv6(void *context, struct bpf_sock *own, bool udp, const __be32 *given,
					 __be16 port)
{
	struct svc_place place = {.bits = 32 + 128, .group = groups[udp][port], .family = 6};
	__be32 address[4];
	__u32 target;

	if (place.group == SVC_HERE)
		return NO_TARGET;
	__builtin_memcpy(address, given, sizeof(address));
	if (!address[0] && !address[1]) {
		if (address[2] == MAPPED)
			return target_ipv4(context, own, udp, address[3], port);
		if (!address[2] && !address[3])
			address[3] = bpf_htonl(1); /* as in tcp_v6_connect: :: is ::1 */
	}
	__builtin_memcpy(place.address, address, sizeof(address));
	target = target_of(&place);
	if (target == NO_TARGET || is_served_ipv6(context, own, udp, &place, address, port))
		return NO_TARGET;
	return target;
}

static __always_inline __u32 target_of_call(struct bpf_sock_addr *context, bool udp, bool ipv6)
{
	__be32 address[4];

	if (context->protocol != (udp ? IPPROTO_UDP : IPPROTO_TCP)) /* TCP: also below MPTCP */
		return NO_TARGET;
	if (!ipv6)
		return target_ipv4(context, context->sk, udp, context->user_ip4, context->user_port);
	for (int i = 0; i < 4; i++)
		address[i] = context->user_ip6[i];
	return target_ipv6(context, context->sk, udp, address, context->user_port);
}

/* The target of a connected socket's peer. */
static __always_inline __u32 target_of_peer(void *context, struct bpf_sock *own)
{
	__be32 address[4];

	if (own->family == AF_INET)
		return target_ipv4(context, own, true, own->dst_ip4, own->dst_port);
	for (int i = 0; i < 4; i++)
		address[i] = own->dst_ip6[i];
	return target_ipv6(context, own, true, address, own->dst_port);
}

/*
 * The beginning of a send with an address. Nothing shows that a later send of this socket has none, so for a connected
 * socket it is noted that this one is allowed, too.
 */
static __always_inline int on_sendmsg(struct bpf_sock_addr *context, bool ipv6)
{
	struct svc_sender sender = {.task = bpf_get_current_task(), .socket = bpf_get_socket_cookie(context)};
	struct svc_send send = {.target = target_of_call(context, true, ipv6), .connected = context->sk->dst_port};

	if (send.target == NO_TARGET && !send.connected && !bpf_map_lookup_elem(&sends, &sender))
		return ALLOWED;
	if (bpf_map_update_elem(&sends, &sender, &send, 0))
		return refuse(send.target); /* no memory */
	return ALLOWED;
}

/* A packet of the tree, in the context of the call that sends it. One of TCP that is refused does not exist. */
static __always_inline int on_packet(struct __sk_buff *packet)
{
	struct svc_sender sender = {.task = bpf_get_current_task()};
	struct bpf_sock *own = packet->sk;
	struct svc_send *send;
	__u32 target;

	own = own ? bpf_sk_fullsock(own) : NULL;
	if (!own || own->protocol != IPPROTO_UDP)
		return ALLOWED;
	sender.socket = bpf_get_socket_cookie(packet);
	send = bpf_map_lookup_elem(&sends, &sender);
	if (send && send->connected == own->dst_port) {
		target = send->target;
		if (send->connected)
			bpf_map_delete_elem(&sends, &sender);
	} else {
		target = own->dst_port ? target_of_peer(packet, own) : NO_TARGET;
	}
	if (target == NO_TARGET)
		return ALLOWED;
	count(target);
	return LOST;
}

/*
 * An abstract name begins with NUL and ends with the address; a path ends at the first NUL. What follows the address is
 * not initialised.
 */
static __always_inline int on_unix(struct bpf_sock_addr *context)
{
	struct bpf_sock_addr_kern *kernel = bpf_cast_to_kern_ctx(context);
	const char *path = kernel->uaddr->sun_path;
	long length = (long)kernel->uaddrlen - sizeof(__u16); /* sun_family */
	struct svc_name name = {};
	__u32 *target;

	if (length <= 0 || length > (long)sizeof(kernel->uaddr->sun_path))
		return ALLOWED; /* an address without a name: the call fails */
	bpf_probe_read_kernel(name.text, 1, path);
	if (name.text[0])
		length = bpf_probe_read_kernel_str(name.text, (length + 1) & 127, path) - 1;
	else
		bpf_probe_read_kernel(name.text, length & 127, path);
	name.length = length;
	target = bpf_map_lookup_elem(&names, &name);
	return refuse(target ? *target : NO_TARGET);
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *context)
{
	return refuse(target_of_call(context, false, false));
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *context)
{
	return refuse(target_of_call(context, false, true));
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *context)
{
	return on_sendmsg(context, false);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *context)
{
	return on_sendmsg(context, true);
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *packet)
{
	return on_packet(packet);
}

/* Since 6.7. libbpf 1.1 does not know these two: the loader sets their types, which another section would preclude. */
SEC("?svc/connect_unix")
int connect_unix(struct bpf_sock_addr *context)
{
	return on_unix(context);
}

SEC("?svc/sendmsg_unix")
int sendmsg_unix(struct bpf_sock_addr *context)
{
	return on_unix(context);
}
