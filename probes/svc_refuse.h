/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The keys and values of the maps of svc_refuse.bpf.c. tracer/record/refusal/programs.py has a copy of the layouts of
 * svc_place and svc_name, which it fills in; a test compares it with the object's BTF. No struct has implicit padding.
 */
#ifndef SVC_REFUSE_H
#define SVC_REFUSE_H

#include "integers.h"

#define SVC_HERE 0 /* a group: none of its ports is refused; its networks are this machine's own addresses */
#define SVC_EXCEPTED 0xffffffff /* in place of a target: this network is not refused */

/* The networks in which the ports of one group are refused. */
struct svc_place {
	__u32 bits; /* how many of the bits after this field count */
	__u16 group; /* of the port; host byte order */
	__u8 family; /* 4 or 6; an IPv4-mapped IPv6 address has 4 */
	__u8 unused; /* 0 */
	__u8 address[16]; /* network byte order; of IPv4, the first 4 bytes, then 0 */
};
_Static_assert(sizeof(struct svc_place) == 24, "svc_place has 24 bytes");

/* The name of a unix socket. */
struct svc_name {
	__u32 length; /* without the NUL at the end of a path */
	__u8 text[128]; /* sun_path, then 0; more than 108 bytes, because the verifier knows lengths by their bits */
};
_Static_assert(sizeof(struct svc_name) == 132, "svc_name has 132 bytes");

/* A thread that sends datagrams with an address on a socket. */
struct svc_sender {
	__u64 task; /* address of its task_struct */
	__u64 socket; /* cookie */
};

/* Its newest send. */
struct svc_send {
	__u32 target; /* index of its target, or SVC_EXCEPTED */
	__u32 connected; /* the port to which the socket was connected then, which may be another one; 0: to none */
};

#endif
