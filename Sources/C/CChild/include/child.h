#pragma once
// Starting a child process with its own group, which dies as a whole when this program does.

#include <stdint.h>
#include <sys/types.h>

typedef struct {
    const char *_Nonnull path;
    /// NULL-terminated, the program's name first.
    char *_Nullable const *_Nonnull arguments;
    /// NULL-terminated, `NAME=value`.
    char *_Nullable const *_Nonnull environment;
    /// Where it runs.
    const char *_Nonnull directory;
    /// What become its standard input, output and error. No other descriptor is passed on.
    int input, output, error;
    /// The longest file it may write, in bytes; 0: any.
    uint64_t max_file_bytes;
} tgp_child;

/// Starts a child; returns its process id, which is its group's too, or -errno when it could not be started.
///
/// The process that is returned is a guard: it waits for the program, ends as the program ended, and kills the whole
/// group when the thread that called this ends. So call it on the thread that waits for the child.
pid_t tgp_child_start(const tgp_child *_Nonnull child);

/// A descriptor that polls readable when the child has ended, or -errno. The caller closes it.
int tgp_child_watch(pid_t child);

/// Reaps an ended child; returns its exit status, or 256 + the signal that ended it.
int tgp_child_reap(pid_t child);
