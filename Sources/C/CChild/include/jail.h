#pragma once
// Confines a child process: what it may reach, open, call and use up. Programs that handle strangers' data get a jail.
//
// Nothing here depends on the privileges of this program: namespaces are made in an own user namespace.

#include <stdbool.h>
#include <stdint.h>

/// The layers of a jail, as bits. A kernel, or the rules of a container, may lack any of them.
enum {
    /// An own user and network namespace, without any interface but loopback.
    tgp_layer_network = 1,
    /// An own process namespace: its processes see no other ones, and all of them end together.
    tgp_layer_processes = 2,
    /// Landlock: files and folders.
    tgp_layer_files = 4,
    /// Landlock: TCP ports.
    tgp_layer_ports = 8,
    /// A seccomp filter.
    tgp_layer_calls = 16,
    /// Resource limits, no new privileges and no capabilities.
    tgp_layer_limits = 32,
    /// A limit for the number of processes that counts those of the jail only.
    tgp_layer_process_count = 64,
    /// A control group of the jail's own.
    tgp_layer_cgroup = 128,
};

/// A network for one job, with one listening socket that this process accepts on.
typedef struct {
    /// Descriptors of the namespaces; -1 where the kernel gave none.
    int user_namespace, network_namespace;
    /// A socket that listens inside the network at 127.0.0.1; -1 if none was wanted.
    int listener;
    uint16_t port;
} tgp_network;

/// Opens only the listening socket, in this process's own network; returns 0, or -errno.
int tgp_listen_here(tgp_network *_Nonnull network);

typedef struct {
    /// The layers without which the program must not start.
    uint32_t layers;
    /// Descriptors of the namespaces to join; -1 for none.
    int user_namespace, network_namespace;
    /// A Landlock ruleset; -1 for none.
    int ruleset;
    /// The file `cgroup.procs` of the jail's control group, open for writing; -1 for none.
    int cgroup;
    /// Is true if the program may send datagrams: in a network without a way out, or if it may reach any address.
    bool permits_datagrams;
    /// Bytes of private memory, bytes of address space, seconds of processor time, and processes; 0 sets no limit.
    uint64_t memory_bytes, address_bytes, cpu_seconds, processes;
} tgp_jail;

/// Tells which layers work on this machine, by trying each in a process that ends at once. The control group is not
/// tried.
uint32_t tgp_jail_probe(void);

/// Makes a network without a way out; returns 0, or -errno. The caller closes the descriptors.
int tgp_network_make(tgp_network *_Nonnull network, bool listens);

/// The version of Landlock that the kernel has; 0 for none.
int tgp_landlock_version(void);

/// Makes a Landlock ruleset that permits nothing yet; returns its descriptor, or -errno. The caller closes it.
int tgp_ruleset_make(bool restricts_ports);

/// The ways in which a ruleset permits a path.
enum {
    /// Reading and executing a file, or everything below a folder.
    tgp_access_read = 0,
    /// Reading and writing a file, or everything below a folder; in a folder also making, renaming and removing.
    tgp_access_write = 1,
};

/// Permits a path and, for a folder, everything below it; returns 0, or -errno, also for a path that does not exist.
int tgp_ruleset_permit(int ruleset, const char *_Nonnull path, int access);

/// Permits TCP connections to a port; returns 0, or -errno.
int tgp_ruleset_permit_port(int ruleset, uint16_t port);

// The steps of a child, in this order, between fork and exec. Each returns 0 or an error's number.

/// Joins the namespaces and the control group. The next child of the caller is the first process of a process namespace, if
/// that layer is wanted.
int tgp_jail_enter(const tgp_jail *_Nonnull jail);
/// Sets the limits, gives up privileges, and restricts files and ports.
int tgp_jail_confine(const tgp_jail *_Nonnull jail);
/// Restricts the system calls. It comes last, because a step before it might need one of them.
int tgp_jail_filter(const tgp_jail *_Nonnull jail);
