/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel's numbers that its BTF lacks. They are macros because it may have enumerators of the same names. */
#ifndef CONSTANTS_H
#define CONSTANTS_H

/* include/linux/socket.h, include/linux/net.h */
#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5

/* include/uapi/linux/in.h, include/net/tcp_states.h */
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10

/* include/uapi/asm-generic/errno*.h, include/linux/errno.h */
#define EAGAIN 11
#define EEXIST 17
#define ENOTSOCK 88
#define EISCONN 106
#define ECONNREFUSED 111
#define EALREADY 114
#define EINPROGRESS 115
#define ECANCELED 125
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

/* include/linux/sched.h */
#define TASK_INTERRUPTIBLE 0x00000001

#endif
