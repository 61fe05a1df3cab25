/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The arguments of the running system call, from the registers with which the task entered the kernel. With them, one
 * program at the end of a send can read the bytes and the address, without a second program at its beginning.
 */
#ifndef SYSCALL_ARGS_H
#define SYSCALL_ARGS_H

#if defined(__TARGET_ARCH_x86)
/* arch/x86/entry/syscalls/syscall_64.tbl */
enum {
	NR_read = 0,
	NR_write = 1,
	NR_readv = 19,
	NR_writev = 20,
	NR_connect = 42,
	NR_sendto = 44,
	NR_recvfrom = 45,
	NR_sendmsg = 46,
	NR_recvmsg = 47,
	NR_bind = 49,
	NR_futex = 202,
	NR_sendmmsg = 307,
	NR_pwritev2 = 328,
	NR_futex_wait = 455,
};
enum { USER32_CS = 0x23 };

static __always_inline bool is_native(const struct pt_regs *regs)
{
	return FIELD(regs, cs) != USER32_CS;
}

#define NUMBER(regs) FIELD(regs, orig_ax)
#define ARG1(regs) FIELD(regs, di)
#define ARG2(regs) FIELD(regs, si)
#define ARG3(regs) FIELD(regs, dx)
#define ARG5(regs) FIELD(regs, r8)
#define ARG6(regs) FIELD(regs, r9)

#elif defined(__TARGET_ARCH_arm64)
/* include/uapi/asm-generic/unistd.h */
enum {
	NR_read = 63,
	NR_write = 64,
	NR_readv = 65,
	NR_writev = 66,
	NR_futex = 98,
	NR_bind = 200,
	NR_connect = 203,
	NR_sendto = 206,
	NR_recvfrom = 207,
	NR_sendmsg = 211,
	NR_recvmsg = 212,
	NR_sendmmsg = 269,
	NR_pwritev2 = 287,
	NR_futex_wait = 455,
};
enum { PSR_MODE32_BIT = 0x10 };

static __always_inline bool is_native(const struct pt_regs *regs)
{
	return !(FIELD(regs, pstate) & PSR_MODE32_BIT);
}

#define NUMBER(regs) FIELD(regs, syscallno)
#define ARG1(regs) FIELD(regs, orig_x0)
#define ARG2(regs) FIELD(regs, regs[1])
#define ARG3(regs) FIELD(regs, regs[2])
#define ARG5(regs) FIELD(regs, regs[4])
#define ARG6(regs) FIELD(regs, regs[5])
#endif

/* -1 for 32-bit calls, which have other numbers. */
static __always_inline long syscall_number(const struct pt_regs *regs)
{
	return is_native(regs) ? (long)NUMBER(regs) : -1;
}

static __always_inline void args_of_iovec(struct call_args *args, const void *iov)
{
	struct iovec first;

	if (bpf_probe_read_user(&first, sizeof(first), iov) == 0) {
		args->data = (__u64)first.iov_base;
		args->len = first.iov_len;
	}
}

static __always_inline void args_of_msghdr(struct call_args *args, const void *pointer)
{
	struct user_msghdr msg;

	if (bpf_probe_read_user(&msg, sizeof(msg), pointer) == 0) {
		args->name = (__u64)msg.msg_name;
		args->name_len = msg.msg_name ? msg.msg_namelen : 0;
		args_of_iovec(args, msg.msg_iov);
	}
}

/* Read the arguments of the running send. `message`: the index within a sendmmsg. */
static __always_inline void read_send_args(struct call_args *args, const struct pt_regs *regs, long number,
					   __u32 message)
{
	__builtin_memset(args, 0, sizeof(*args));
	switch (number) {
	case NR_sendto:
		args->data = ARG2(regs);
		args->len = ARG3(regs);
		args->name = ARG5(regs);
		args->name_len = args->name ? ARG6(regs) : 0;
		break;
	case NR_write:
		args->data = ARG2(regs);
		args->len = ARG3(regs);
		break;
	case NR_writev:
	case NR_pwritev2:
		args_of_iovec(args, (const void *)ARG2(regs));
		break;
	case NR_sendmsg:
		args_of_msghdr(args, (const void *)ARG2(regs));
		break;
	case NR_sendmmsg:
		args_of_msghdr(args, (const void *)(ARG2(regs) + message * sizeof(struct mmsghdr)));
		break;
	}
}

/* Read the array of buffers of the running send, if it has one. */
static __always_inline void read_buffers(struct user_msghdr *msg, const struct pt_regs *regs, long number)
{
	__builtin_memset(msg, 0, sizeof(*msg));
	if (number == NR_sendmsg) {
		bpf_probe_read_user(msg, sizeof(*msg), (const void *)ARG2(regs));
	} else if (number == NR_writev || number == NR_pwritev2) {
		msg->msg_iov = (struct iovec *)ARG2(regs);
		msg->msg_iovlen = ARG3(regs);
	}
}

/* Read the arguments of the running read. Of several buffers, only the first is read. */
static __always_inline void read_receive_args(struct call_args *args, const struct pt_regs *regs, long number)
{
	__builtin_memset(args, 0, sizeof(*args));
	switch (number) {
	case NR_recvfrom:
	case NR_read:
		args->data = ARG2(regs);
		args->len = ARG3(regs);
		break;
	case NR_readv:
		args_of_iovec(args, (const void *)ARG2(regs));
		break;
	case NR_recvmsg:
		args_of_msghdr(args, (const void *)ARG2(regs));
		break;
	}
}

#endif
