#pragma once
// Calls of Linux that the Glibc module leaves out, or that are variadic.

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#endif

/// An event counter; not inherited by children.
static inline int tgp_eventfd(void) { return eventfd(0, EFD_CLOEXEC); }

/// Asks for a larger pipe; the size that it has now, or -1.
static inline int tgp_set_pipe_size(int descriptor, int bytes) { return fcntl(descriptor, F_SETPIPE_SZ, bytes); }

/// Copies from one file's offset to another's own position within the kernel; how many bytes, or -1.
static inline ssize_t tgp_copy_file_range(int source, off_t *offset, int target, size_t count) {
    return syscall(SYS_copy_file_range, source, offset, target, NULL, count, 0);
}
/// Lets threads share two pools of memory. By default each gets its own, and what one allocates and another frees adds up
/// to several times of what is in use.
static inline void tgp_share_memory_pools(void) { mallopt(M_ARENA_MAX, 2); }
