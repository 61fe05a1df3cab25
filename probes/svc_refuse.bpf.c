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

/* The sockets that the command inherits. Filled by the loader; the kernel deletes an entry with its socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} inherited SEC(".maps");

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline int refuse(__u32 target)
{
	__u64 *count = bpf_map_lookup_elem(&refusals, &target);

	if (count)
		__sync_fetch_and_add(count, 1);
	if (chooses_error)
		bpf_set_retval(-ECONNREFUSED);
	return REFUSED;
}

static __always_inline bool is_udp(struct bpf_sock_addr *context)
{
	return context->protocol == IPPROTO_UDP;
}

/* The group of the peer's port. */
static __always_inline __u16 group_of(struct bpf_sock_addr *context)
{
	__u32 port = context->user_port & 0xffff;
	__u32 protocol = context->protocol;

	if (protocol == IPPROTO_UDP)
		return groups[1][port];
	if (protocol == IPPROTO_TCP) /* also below MPTCP */
		return groups[0][port];
	return SVC_HERE;
}

/* The index of the target that contains a place; NULL: none. */
static __always_inline __u32 *target_of(struct svc_place *place)
{
	__u32 *target = bpf_map_lookup_elem(&places, place);

	return target && *target != SVC_EXCEPTED ? target : NULL;
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
static __always_inline struct bpf_sock *reached(struct bpf_sock_addr *context, struct bpf_sock_tuple *packet,
						__u32 size)
{
	if (is_udp(context))
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
static __always_inline bool is_served_ipv4(struct bpf_sock_addr *context, struct svc_place *place, __be32 address)
{
	struct bpf_sock_tuple packet = {};
	struct bpf_sock *found, *own = context->sk;
	bool served;

	packet.ipv4.saddr = own->src_ip4;
	if (!packet.ipv4.saddr)
		packet.ipv4.saddr = place->address[0] == 127 ? LOOPBACK : address;
	packet.ipv4.sport = bpf_htons(own->src_port);
	packet.ipv4.daddr = address;
	packet.ipv4.dport = context->user_port;
	found = reached(context, &packet, sizeof(packet.ipv4));
	if (!found)
		return false;
	served = is_of_the_tree(found) && (found->src_ip4 == address || is_here(place));
	bpf_sk_release(found);
	return served;
}

static __always_inline bool is_served_ipv6(struct bpf_sock_addr *context, struct svc_place *place,
					   const __be32 *address)
{
	const __be32 any[4] = {};
	struct bpf_sock_tuple packet = {};
	struct bpf_sock *found, *own = context->sk;
	bool served;

	for (int i = 0; i < 4; i++) {
		packet.ipv6.saddr[i] = own->src_ip6[i];
		packet.ipv6.daddr[i] = address[i];
	}
	if (same(packet.ipv6.saddr, any))
		__builtin_memcpy(packet.ipv6.saddr, address, sizeof(any));
	packet.ipv6.sport = bpf_htons(own->src_port);
	packet.ipv6.dport = context->user_port;
	found = reached(context, &packet, sizeof(packet.ipv6));
	if (!found)
		return false;
	served = is_of_the_tree(found) && (same(found->src_ip6, address) || is_here(place));
	bpf_sk_release(found);
	return served;
}

static __always_inline int on_ipv4(struct bpf_sock_addr *context, __be32 address)
{
	struct svc_place place = {.bits = 32 + 32, .group = group_of(context), .family = 4};
	__u32 *target;

	if (place.group == SVC_HERE)
		return ALLOWED;
	if (!address)
		address = LOOPBACK; /* that is where the kernel sends it (ip_route_output_key) */
	__builtin_memcpy(place.address, &address, sizeof(address));
	target = target_of(&place);
	if (!target || is_served_ipv4(context, &place, address))
		return ALLOWED;
	return refuse(*target);
}

static __always_inline int on_ipv6(struct bpf_sock_addr *context)
{
	struct svc_place place = {.bits = 32 + 128, .group = group_of(context), .family = 6};
	__be32 address[4];
	__u32 *target;

	if (place.group == SVC_HERE)
		return ALLOWED;
	for (int i = 0; i < 4; i++)
		address[i] = context->user_ip6[i];
	if (!address[0] && !address[1]) {
		if (address[2] == MAPPED)
			return on_ipv4(context, address[3]);
		if (!address[2] && !address[3])
			address[3] = bpf_htonl(1); /* as in tcp_v6_connect: :: is ::1 */
	}
	__builtin_memcpy(place.address, address, sizeof(address));
	target = target_of(&place);
	if (!target || is_served_ipv6(context, &place, address))
		return ALLOWED;
	return refuse(*target);
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
	return target ? refuse(*target) : ALLOWED;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *context)
{
	return on_ipv4(context, context->user_ip4);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *context)
{
	return on_ipv6(context);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *context)
{
	return on_ipv4(context, context->user_ip4);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *context)
{
	return on_ipv6(context);
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
