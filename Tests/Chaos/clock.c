// A library for LD_PRELOAD that sets the time of day of a program ahead by the seconds that stand in the file TGPIPE_CLOCK_FILE, or behind.
//
// Only the time of day is wrong then, as on a machine whose clock is: intervals and timers are right, and the times of files agree with the
// wrong clock. libfaketime cannot do that: with its clock for intervals left alone, the sleep of Python fails (version 0.9.10).
//
// Build: cc -shared -fPIC -O1 -o clock.so clock.c

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int true_time(clockid_t clock, struct timespec *time) { return (int)syscall(SYS_clock_gettime, clock, time); }

static long offset(void) {
    static long seconds;
    static time_t read_at;
    struct timespec now;
    true_time(CLOCK_MONOTONIC, &now);
    // The file may change while the program runs.
    if (__atomic_exchange_n(&read_at, now.tv_sec, __ATOMIC_RELAXED) == now.tv_sec) return __atomic_load_n(&seconds, __ATOMIC_RELAXED);
    const char *path = getenv("TGPIPE_CLOCK_FILE");
    char text[32] = "";
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        // A file that cannot be read leaves the clock as it was.
        if (syscall(SYS_read, file, text, sizeof text - 1) > 0) __atomic_store_n(&seconds, atol(text), __ATOMIC_RELAXED);
        syscall(SYS_close, file);
    }
    return __atomic_load_n(&seconds, __ATOMIC_RELAXED);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int status = true_time(clock, time);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return status;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

// The times of files, which the kernel knows by the true clock.

static int shifted(int status, struct stat *facts) {
    if (status == 0) {
        facts->st_atim.tv_sec += offset();
        facts->st_mtim.tv_sec += offset();
        facts->st_ctim.tv_sec += offset();
    }
    return status;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int stat(const char *restrict path, struct stat *restrict facts) { return shifted(NEXT(stat)(path, facts), facts); }
int lstat(const char *restrict path, struct stat *restrict facts) { return shifted(NEXT(lstat)(path, facts), facts); }
int fstat(int file, struct stat *facts) { return shifted(NEXT(fstat)(file, facts), facts); }
int fstatat(int folder, const char *restrict path, struct stat *restrict facts, int flags) {
    return shifted(NEXT(fstatat)(folder, path, facts, flags), facts);
}

// The same functions, for programs that were built for large files.
int stat64(const char *restrict path, struct stat64 *restrict facts) { return stat(path, (struct stat *)facts); }
int lstat64(const char *restrict path, struct stat64 *restrict facts) { return lstat(path, (struct stat *)facts); }
int fstat64(int file, struct stat64 *facts) { return fstat(file, (struct stat *)facts); }
int fstatat64(int folder, const char *restrict path, struct stat64 *restrict facts, int flags) {
    return fstatat(folder, path, (struct stat *)facts, flags);
}

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict facts) {
    int status = NEXT(statx)(folder, path, flags, mask, facts);
    if (status == 0) {
        facts->stx_atime.tv_sec += offset();
        facts->stx_mtime.tv_sec += offset();
        facts->stx_ctime.tv_sec += offset();
        facts->stx_btime.tv_sec += offset();
    }
    return status;
}

static const struct timespec *unshifted(const struct timespec times[2], struct timespec copy[2]) {
    if (!times) return times;
    for (int number = 0; number < 2; number++) {
        copy[number] = times[number];
        if (copy[number].tv_nsec != UTIME_NOW && copy[number].tv_nsec != UTIME_OMIT) copy[number].tv_sec -= offset();
    }
    return copy;
}

int futimens(int file, const struct timespec times[2]) {
    struct timespec copy[2];
    return NEXT(futimens)(file, unshifted(times, copy));
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    struct timespec copy[2];
    return NEXT(utimensat)(folder, path, unshifted(times, copy), flags);
}
