#pragma once
// Starts child processes, each in a process group of its own.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jail.h"

/// Marks the error number of a step that confines the child.
enum { tgp_failed_jail = 1 << 16 };

typedef struct {
    const char *_Nonnull path;
    /// The program's words, its name first, ended by NULL.
    char *_Nullable const *_Nonnull arguments;
    /// `NAME=value` words, ended by NULL.
    char *_Nullable const *_Nonnull environment;
    /// The working folder; NULL keeps the parent's.
    const char *_Nullable directory;
    /// The descriptors that become standard input, output and error. No other descriptor reaches the program.
    int input, output, error;
    /// The longest file that the program may write, in bytes; 0 sets no limit.
    uint64_t max_file_bytes;
    /// Is true if the group has a session of its own, writes no core files, and dies with the thread that started it.
    bool is_guarded;
    /// Confines the program if it is not NULL. Only a guarded child can be in a jail.
    const tgp_jail *_Nullable jail;
} tgp_child;

/// Starts a child; returns its process id, which is also its group's id, or -errno.
///
/// Every signal has its default action in the program and none is blocked. With a guard, the process returned is the
/// guard: it waits for the program, ends as the program ended, and kills the whole group when the thread that called this
/// function ends. Therefore call it on the thread that waits for the child.
pid_t tgp_child_start(const tgp_child *_Nonnull child);

/// Opens a descriptor that polls readable when the child has ended; returns it, or -errno. The caller closes it.
int tgp_child_watch(pid_t child);
