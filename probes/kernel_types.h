/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel's types, with only the fields that the probes read. preserve_access_index makes libbpf adapt every access
 * to the running kernel's layout (CO-RE), so order and size do not matter here.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include "constants.h"
#include "integers.h"

#define __VMLINUX_H__ /* for bpf_tracing.h: registers have the kernel's own names */

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
/* Flags of maps and of helper functions. */
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
	BPF_NOEXIST = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct proto {
	void *sendpage; /* until 6.4 */
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct proto *skc_prot;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_err;
	struct socket *sk_socket;
	struct pid *sk_peer_pid;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct unix_address {
	refcount_t refcnt; /* sockets of this name */
	int len;
	struct {
		unsigned short sun_family;
		char sun_path[108];
	} name[1];
};

struct inet_sock {
	__be16 inet_sport;
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct signal_struct {
	atomic_t live;
};

struct task_struct {
	unsigned int __state; /* since 5.14 */
	void *stack;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_time;
	char comm[16];
	struct files_struct *files;
	struct signal_struct *signal;
	void *bpf_storage;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9, ax, orig_ax, cs;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};

struct user_pt_regs { /* those of a kprobe */
	__u64 regs[31];
};
#else
#error "no register layout for this architecture: add one here and in syscall_args.h"
#endif

#pragma clang attribute pop

/*
 * Load a field directly, if the verifier knows the pointer's type. With kprobes (by_kprobes in storage.h), pointers to
 * sockets are plain numbers, and a field has to be read.
 */
#define FIELD(pointer, field)                                                                                          \
	(by_kprobes && __builtin_types_compatible_p(typeof(*(pointer)), struct sock) ? BPF_CORE_READ(pointer, field)   \
										     : (pointer)->field)

/* User space's types: their layout is ABI, so nothing is relocated. */
struct iovec {
	void *iov_base;
	unsigned long iov_len;
};

struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	struct iovec *msg_iov;
	unsigned long msg_iovlen;
	void *msg_control;
	unsigned long msg_controllen;
	unsigned int msg_flags;
};

struct mmsghdr {
	struct user_msghdr msg_hdr;
	unsigned int msg_len;
};

#endif
