/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel's types for svc_trace.bcc.c, from the kernel's own headers: for kernels without BTF. */
#ifndef BCC_HEADERS_H
#define BCC_HEADERS_H

/*
 * Types that the kernel's own bpf.h has, and that bcc's copy may lack. They have to be complete, or <net/sock.h> does
 * not compile; the probes never use them. Other names, because bcc's copy may have them too.
 */
#define bpf_wq svc_bpf_wq
#define bpf_rb_root svc_bpf_rb_root
#define bpf_rb_node svc_bpf_rb_node
#define bpf_refcount svc_bpf_refcount
/* clang-format off */
struct bpf_wq { __u64 opaque[2]; };
struct bpf_rb_root { __u64 opaque[2]; };
struct bpf_rb_node { __u64 opaque[4]; };
struct bpf_refcount { __u32 opaque[1]; };
/* clang-format on */

#include <linux/version.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0)
#define __state state
#endif
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/pid_namespace.h>
#include <linux/fs.h>
#include <linux/fdtable.h>
#include <linux/socket.h>
#include <linux/net.h>
#include <linux/in6.h>
#include <net/sock.h>
#include <net/inet_sock.h>
#include <net/af_unix.h>
#include <net/tcp_states.h>

#endif
