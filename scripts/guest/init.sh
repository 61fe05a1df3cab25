#!/bin/sh
# The guest's init: mounts the usual file systems, runs the command, reports its exit status, powers off.
# The kernel's command line sets $kernel, the directory with the unpacked packages, and $guest_command, a shell script.
# /dev/vport0p1 takes the command's output. /dev/vport0p2 takes two lines: "up", and the exit status.
# shellcheck disable=SC2154
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts -o mode=620,ptmxmode=666 pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs security /sys/kernel/security
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs tracing /sys/kernel/tracing
mkdir -p /lib/modules
mount --bind "$kernel/lib/modules" /lib/modules
ip link set lo up
hostname guest

echo up >/dev/vport0p2
{ bash "$guest_command" </dev/null 2>&1; echo $? >/run/status; } | cat >/dev/vport0p1
cat /run/status >/dev/vport0p2
echo o >/proc/sysrq-trigger
read -r _ </dev/vport0p2 # blocks until the power is off
