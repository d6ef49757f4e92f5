#pragma once
// Calls of Linux that the Glibc module leaves out, or that are variadic.

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

// glibc declares these for _GNU_SOURCE only, under which its types would no longer be those of the Glibc module.
extern char **environ;
extern int pipe2(int ends[2], int flags);
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *size, int flags);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);

#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#endif

/// An event counter; not inherited by children.
static inline int tgp_eventfd(void) { return eventfd(0, EFD_CLOEXEC); }

/// A timer that is read like a file; not inherited by children.
static inline int tgp_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); }

/// Lets a timer run out once, after a time that is not zero.
static inline int tgp_set_timer(int descriptor, int64_t nanoseconds) {
    struct itimerspec time = {{0, 0}, {nanoseconds / 1000000000, nanoseconds % 1000000000}};
    return timerfd_settime(descriptor, 0, &time, NULL);
}

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x8
#endif

/// Writes at the current position without ever waiting; -1 with EAGAIN if that is impossible now, and with EOPNOTSUPP if the kernel
/// cannot tell for this kind of file.
static inline ssize_t tgp_write_without_waiting(int descriptor, const void *bytes, size_t count) {
    // -1 as the offset stands for the current position. The call's own wrapper needs _GNU_SOURCE.
    struct {
        const void *start;
        size_t count;
    } piece = {bytes, count};
    return syscall(SYS_pwritev2, descriptor, &piece, 1UL, -1L, -1L, RWF_NOWAIT);
}

/// Asks for a larger pipe; the size that it has now, or -1.
static inline int tgp_set_pipe_size(int descriptor, int bytes) { return fcntl(descriptor, F_SETPIPE_SZ, bytes); }

/// Copies from one file's offset to another's own position within the kernel; how many bytes, or -1.
static inline ssize_t tgp_copy_file_range(int source, off_t *offset, int target, size_t count) {
    return syscall(SYS_copy_file_range, source, offset, target, NULL, count, 0);
}

/// Lets threads share two pools of memory. By default each gets its own, and what one allocates and another frees adds up
/// to several times of what is in use.
static inline void tgp_share_memory_pools(void) { mallopt(M_ARENA_MAX, 2); }

/// Lets pieces of memory of a megabyte and more go back to the system as soon as they are freed. By default, the pools keep some
/// that were freed once.
static inline void tgp_return_large_memory(void) { mallopt(M_MMAP_THRESHOLD, 1 << 20); }

/// Gives free memory of the pools back to the system.
static inline void tgp_return_free_memory(void) { malloc_trim(0); }

/// The bytes that wait in a pipe, asked at either end of it; -1 when that cannot be told.
static inline int tgp_pipe_bytes(int descriptor) {
    int bytes = 0;
    return ioctl(descriptor, FIONREAD, &bytes) == 0 ? bytes : -1;
}

/// A Unix datagram socket that no child inherits.
static inline int tgp_datagram_socket(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

/// The next connection at a socket that is listened at; not inherited by children, and never waited for.
static inline int tgp_accept(int descriptor) { return accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

/// A pipe whose ends no child inherits.
static inline int tgp_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

/// Returns whether a path leads to a pipe without a name of its own (`/dev/stdout`, a shell's `>(command)`), as a FIFO has one.
static inline bool tgp_is_nameless_pipe(const char *path) {
    struct statfs system;
    return statfs(path, &system) == 0 && system.f_type == PIPEFS_MAGIC;
}

/// In the child, closes every descriptor from `first` on, the ones that came without close-on-exec included.
static inline int tgp_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

/// The environment of this process, as `posix_spawn` takes it.
static inline char *const *tgp_environment(void) { return environ; }

/// Returns the number of pages that a pipe can hold, or -1.
static inline int tgp_pipe_pages(int descriptor) {
    int bytes = fcntl(descriptor, F_GETPIPE_SZ);
    return bytes < 0 ? -1 : bytes / (int)sysconf(_SC_PAGESIZE);
}

/// A clock in nanoseconds since its own beginning.
static inline int64_t tgp_clock_nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// A moment in nanoseconds.
static inline int64_t tgp_nanoseconds(const struct timespec *time) {
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/// Waits for a condition until a moment of CLOCK_MONOTONIC, in nanoseconds; 0 or an error's number.
static inline int tgp_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t nanoseconds) {
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return pthread_cond_timedwait(condition, mutex, &time);
}

/// Limits how long a send to a socket may wait; 0, or -1.
static inline int tgp_set_send_timeout(int descriptor, int64_t seconds) {
    struct timeval limit = {.tv_sec = seconds};
    return setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/// Returns the width of a terminal in columns, or 0.
static inline int tgp_terminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
