/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * In place of the kernel's headers, on kernels with BTF: only what bcc itself needs before it compiles the probes. bcc
 * includes this file first. The other files in this directory only have to exist.
 */
#ifndef SVC_KCONFIG_H
#define SVC_KCONFIG_H

#define CONFIG_BPF_SYSCALL 1

/* bcc checks whether the kernel is older than 4.8. */
#define KERNEL_VERSION(major, minor, patch) (((major) << 16) + ((minor) << 8) + (patch))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 8, 0)

#define PAGE_SIZE 4096 /* only a unit: sizes are divided by it, and bcc multiplies them by it again */

#include "../../../integers.h"

#endif
