#!/bin/busybox sh
# The guest's first program, in its initrd: mounts the machine's root read-only, puts an overlay in memory on it, which
# takes all writes, and continues there with guest/init.sh.
# shellcheck shell=dash
export PATH=/bin
for module in /modules/*; do insmod "$module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /machine || poweroff -f
mount -t tmpfs -o size=80% written /written && mkdir /written/upper /written/work
mount -t overlay -o lowerdir=/machine,upperdir=/written/upper,workdir=/written/work root /root || poweroff -f
mount -t devtmpfs dev /root/dev
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t tmpfs -o mode=755 run /root/run
# shellcheck disable=SC2154 # the kernel turns unknown words of its command line into variables
exec switch_root /root /bin/sh "$guest_init"
