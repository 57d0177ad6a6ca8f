/* memory_limit: how much memory the control groups of Linux allow the process. */
#pragma once

/* The least memory.max of the process' group and of the groups around it, in bytes; 0: no limit, or
 * no control groups of version 2 (cgroups(7)). A container sees its own group as the root.
 * membership: /proc/self/cgroup. root: /sys/fs/cgroup. */
double memory_limit_bytes(const char *membership, const char *root);
