/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * How svc_trace.bcc.c reads memory. All of that is in headers: in the main text, bcc rewrites what it takes for a
 * pointer into the kernel, and does not understand typeof.
 */
#ifndef BCC_READS_H
#define BCC_READS_H

/* Another name: for each call of the original name, bcc searches all of the kernel's symbols, which takes 0.1 s. */
static long (*read_user)(void *to, __u32 size, const void *from) = (void *)BPF_FUNC_probe_read_user;
#define bpf_probe_read_user read_user

/*
 * The offset of a field, as a number that LLVM cannot optimise. bcc lets LLVM optimise for the machine and then compile
 * for BPF, whose alignments differ: without this, LLVM would use the wrong offset.
 */
#define bpf_core_field_offset(type, field)                                                                             \
	({                                                                                                             \
		__u64 _offset = __builtin_offsetof(type, field);                                                       \
		asm volatile("" : "+r"(_offset));                                                                      \
		_offset;                                                                                               \
	})
#define ADDRESS(pointer, field) ((const void *)(pointer) + bpf_core_field_offset(typeof(*(pointer)), field))

/* Read a field behind a pointer to the kernel's memory; 0 if that fails. */
#define FIELD(pointer, field)                                                                                          \
	({                                                                                                             \
		__auto_type _pointer = (pointer);                                                                      \
		typeof(_pointer->field) _value;                                                                        \
		bpf_probe_read_kernel(&_value, sizeof(_value), ADDRESS(_pointer, field));                              \
		_value;                                                                                                \
	})

/* As libbpf's macros, at the offsets of the running kernel's types. */
#define READ_1(p, a) FIELD(p, a)
#define READ_2(p, a, b) FIELD(FIELD(p, a), b)
#define READ_3(p, a, b, c) FIELD(READ_2(p, a, b), c)
#define READ_4(p, a, b, c, d) FIELD(READ_3(p, a, b, c), d)
#define READ_PICK(_1, _2, _3, _4, name, ...) name
#define BPF_CORE_READ(p, ...) READ_PICK(__VA_ARGS__, READ_4, READ_3, READ_2, READ_1)(p, __VA_ARGS__)
#define BPF_CORE_READ_INTO(to, p, field) bpf_probe_read_kernel(to, sizeof(*(to)), ADDRESS(p, field))
#define bpf_core_type_size(type) sizeof(type)

/* A function that reads a field, for the main text. */
#define READER(name, type, field)                                                                                      \
	static __always_inline typeof(((struct type *)0)->field) name(const struct type *from)                         \
	{                                                                                                              \
		return FIELD(from, field);                                                                             \
	}

READER(stack_of, task_struct, stack)
READER(birth_of, task_struct, start_time)
READER(pid_of, task_struct, pid)
READER(sock_of, socket, sk)

static __always_inline bool is_tcp(const struct sock *sk)
{
	return FIELD(sk, sk_protocol) == IPPROTO_TCP && FIELD(sk, sk_type) == SOCK_STREAM;
}

/* As inode_of() in half the reads, for open sockets: the inode follows the struct socket (sock_alloc). */
static __always_inline __u64 inode_behind(const struct sock *sk)
{
	struct socket_alloc *both = (struct socket_alloc *)FIELD(sk, sk_socket);

	return both ? FIELD(both, vfs_inode.i_ino) : 0;
}

#endif
