// Confines children that handle strangers' data. See jail.h.
//
// The functions that run in a child use only async-signal-safe calls: other threads of the parent may have held any lock.
#define _GNU_SOURCE
#include "jail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// MARK: - Namespaces

/// Enters a new network namespace, if possible together with a new user namespace that owns it. Its ids stay unmapped:
/// files belong to the same user as before, and no program gets privileges by being executed.
static int leave_network(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) return 0;
    return unshare(CLONE_NEWNET) == 0 ? 0 : errno;
}

static int raise_loopback(void) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    int code = ioctl(descriptor, SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
    close(descriptor);
    return code;
}

/// Opens a socket that listens at a free port of 127.0.0.1.
static int listen_at_loopback(int *descriptor, uint16_t *port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*descriptor < 0 || bind(*descriptor, (struct sockaddr *)&address, size) != 0 || listen(*descriptor, 64) != 0 ||
        getsockname(*descriptor, (struct sockaddr *)&address, &size) != 0)
        return errno;
    *port = ntohs(address.sin_port);
    return 0;
}

/// The answer of the process that makes a network. Its descriptors travel beside it.
typedef struct {
    int code;
    uint16_t port;
    bool has_user_namespace;
} network_answer;

typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(3 * sizeof(int))];
} descriptor_message;

static void send_answer(int channel, network_answer answer, const int *descriptors, unsigned count) {
    struct iovec data = {&answer, sizeof answer};
    descriptor_message control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    (void)!sendmsg(channel, &message, MSG_NOSIGNAL);
}

/// Runs in a process of its own: makes the network, and hands over what holds it.
static void make_network(int channel, bool listens) {
    network_answer answer = {0, 0, false};
    int descriptors[3] = {-1, -1, -1};
    unsigned count = 0;
    struct stat before, after;
    bool knows = stat("/proc/self/ns/user", &before) == 0;
    answer.code = leave_network();
    if (answer.code == 0) {
        descriptors[count] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (descriptors[count++] < 0) answer.code = errno;
    }
    if (answer.code == 0 && knows && stat("/proc/self/ns/user", &after) == 0 && before.st_ino != after.st_ino) {
        descriptors[count] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        if (descriptors[count++] < 0) answer.code = errno;
        answer.has_user_namespace = true;
    }
    if (answer.code == 0 && listens) {
        answer.code = raise_loopback();
        if (answer.code == 0) answer.code = listen_at_loopback(&descriptors[count++], &answer.port);
    }
    send_answer(channel, answer, descriptors, answer.code == 0 ? count : 0);
    _exit(0);
}

static int receive_answer(int channel, bool listens, tgp_network *network) {
    network_answer answer = {EPROTO, 0, false};
    struct iovec data = {&answer, sizeof answer};
    descriptor_message control;
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != sizeof answer) return EPROTO;
    if (answer.code != 0) return answer.code;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    unsigned expected = 1 + answer.has_user_namespace + listens;
    if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(expected * sizeof(int))) return EPROTO;
    int descriptors[3];
    memcpy(descriptors, CMSG_DATA(header), expected * sizeof(int));
    network->network_namespace = descriptors[0];
    network->user_namespace = answer.has_user_namespace ? descriptors[1] : -1;
    network->listener = listens ? descriptors[expected - 1] : -1;
    network->port = answer.port;
    return 0;
}

int tgp_network_make(tgp_network *network, bool listens) {
    *network = (tgp_network){-1, -1, -1, 0};
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) return -errno;
    sigset_t all, before;
    sigfillset(&all);
    // No signal handler of this program may run in the child.
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t maker = fork();
    if (maker == 0) make_network(channel[1], listens);
    int code = maker < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(channel[1]);
    if (maker > 0) {
        code = receive_answer(channel[0], listens, network);
        while (waitpid(maker, NULL, 0) < 0 && errno == EINTR) {}
    }
    close(channel[0]);
    return -code;
}

int tgp_listen_here(tgp_network *network) {
    *network = (tgp_network){-1, -1, -1, 0};
    int code = listen_at_loopback(&network->listener, &network->port);
    if (code != 0 && network->listener >= 0) close(network->listener);
    return -code;
}

int tgp_jail_enter(const tgp_jail *jail) {
    if (jail->cgroup >= 0 && write(jail->cgroup, "0", 1) != 1) return errno;
    if (jail->user_namespace >= 0 && setns(jail->user_namespace, CLONE_NEWUSER) != 0) return errno;
    if (jail->network_namespace >= 0 && setns(jail->network_namespace, CLONE_NEWNET) != 0) return errno;
    if ((jail->layers & tgp_layer_processes) && unshare(CLONE_NEWPID | CLONE_NEWIPC) != 0) return errno;
    return 0;
}

// MARK: - Limits and privileges

static int limit(int resource, uint64_t value) {
    struct rlimit both = {value, value};
    return setrlimit(resource, &both) == 0 ? 0 : errno;
}

static int set_limits(const tgp_jail *jail) {
    int code = limit(RLIMIT_CORE, 0);
    // Private memory that can be written. Address space that a program only reserves does not count.
    if (code == 0 && jail->memory_bytes) code = limit(RLIMIT_DATA, jail->memory_bytes);
    if (code == 0 && jail->address_bytes) code = limit(RLIMIT_AS, jail->address_bytes);
    // The first limit ends a program by SIGXCPU, which tells the reason; the second kills one that ignores it.
    struct rlimit cpu = {jail->cpu_seconds, jail->cpu_seconds + 5};
    if (code == 0 && jail->cpu_seconds && setrlimit(RLIMIT_CPU, &cpu) != 0) code = errno;
    if (code == 0 && jail->processes && (jail->layers & tgp_layer_process_count))
        code = limit(RLIMIT_NPROC, jail->processes);
    return code;
}

static int give_up_privileges(void) {
    // It takes a privilege to give them up for ever. Without it there is none to give up.
    for (int capability = 0; capability < 64; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    if (syscall(SYS_capset, &header, none) != 0) return errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

int tgp_jail_confine(const tgp_jail *jail) {
    int code = set_limits(jail);
    if (code == 0) code = give_up_privileges();
    if (code == 0 && jail->ruleset >= 0 && syscall(SYS_landlock_restrict_self, jail->ruleset, 0) != 0) code = errno;
    return code;
}

// MARK: - Landlock

// Debian 12's headers know the first two versions only, so what later ones added is numbered here.
typedef struct {
    uint64_t files, ports, scopes;
} ruleset_attributes;
typedef struct {
    uint64_t access, port;
} port_attributes;
enum { rule_port = 2, access_bind = 1, access_connect = 2, scope_sockets = 1, scope_signals = 2 };
#define ACCESS_TRUNCATE (1ULL << 14)

static const uint64_t rights_to_read =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
/// All other rights concern folders.
static const uint64_t rights_of_files =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;

int tgp_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

/// The rights to files and folders that a version of Landlock knows. What a ruleset knows and does not permit is denied.
static uint64_t rights_of_version(int version) {
    int bits = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
    return (1ULL << bits) - 1;
}

int tgp_ruleset_make(bool restricts_ports) {
    int version = tgp_landlock_version();
    if (version == 0) return -ENOSYS;
    ruleset_attributes attributes = {
        .files = rights_of_version(version),
        .ports = restricts_ports && version >= 4 ? access_bind | access_connect : 0,
        .scopes = version >= 6 ? scope_sockets | scope_signals : 0,
    };
    // Each version added a member, and refuses a longer structure than it knows.
    size_t size = version >= 6 ? sizeof attributes : version >= 4 ? 16 : 8;
    long descriptor = syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    return descriptor < 0 ? -errno : (int)descriptor;
}

int tgp_ruleset_permit(int ruleset, const char *path, int access) {
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0) return -errno;
    struct stat status;
    uint64_t known = rights_of_version(tgp_landlock_version());
    uint64_t devices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    uint64_t rights = access == tgp_access_write ? known & ~devices : rights_to_read;
    int code = fstat(descriptor, &status) == 0 ? 0 : errno;
    if (code == 0) {
        if (!S_ISDIR(status.st_mode)) rights &= rights_of_files;
        struct landlock_path_beneath_attr rule = {.allowed_access = rights & known, .parent_fd = descriptor};
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) code = errno;
    }
    close(descriptor);
    return -code;
}

int tgp_ruleset_permit_port(int ruleset, uint16_t port) {
    port_attributes rule = {access_connect, port};
    return syscall(SYS_landlock_add_rule, ruleset, rule_port, &rule, 0) == 0 ? 0 : -errno;
}

// MARK: - The layers of this machine

/// Runs an attempt in a process of its own, which it may change for ever; returns whether it succeeded.
static bool succeeds(bool (*attempt)(const tgp_network *), const tgp_network *network) {
    pid_t child = fork();
    if (child == 0) _exit(attempt(network) ? 0 : 1);
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return child > 0 && status == 0;
}

static tgp_jail jail_in(const tgp_network *network, uint32_t layers) {
    return (tgp_jail){.layers = layers, .user_namespace = network->user_namespace,
                      .network_namespace = network->network_namespace, .ruleset = -1, .cgroup = -1};
}

static bool enters_network(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_network);
    return tgp_jail_enter(&jail) == 0;
}

/// A process namespace belongs to the user namespace of the network.
static bool enters_processes(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_network | tgp_layer_processes);
    if (tgp_jail_enter(&jail) != 0) return false;
    pid_t first = fork();
    if (first == 0) _exit(getpid() == 1 ? 0 : 1);
    int status = 1;
    return first > 0 && waitpid(first, &status, 0) == first && status == 0;
}

/// The kernel sets the user root no limit, and outside of an own user namespace all processes of the user count.
static bool counts_processes(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_network | tgp_layer_process_count);
    jail.processes = 1;
    if (network->user_namespace < 0 || tgp_jail_enter(&jail) != 0 || tgp_jail_confine(&jail) != 0) return false;
    pid_t second = fork();
    if (second == 0) _exit(0);
    if (second > 0) waitpid(second, NULL, 0);
    return second < 0;
}

static bool sets_limits(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_limits);
    return tgp_jail_confine(&jail) == 0;
}

static bool restricts_files(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_files);
    jail.ruleset = tgp_ruleset_make(true);
    return jail.ruleset >= 0 && tgp_jail_confine(&jail) == 0 && open("/etc/passwd", O_RDONLY) < 0;
}

static bool filters_calls(const tgp_network *network) {
    tgp_jail jail = jail_in(network, tgp_layer_calls);
    return tgp_jail_confine(&jail) == 0 && tgp_jail_filter(&jail) == 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

uint32_t tgp_jail_probe(void) {
    tgp_network network;
    bool has_network = tgp_network_make(&network, false) == 0;
    uint32_t layers = 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (has_network && succeeds(enters_network, &network)) layers |= tgp_layer_network;
    if (layers & tgp_layer_network) {
        if (succeeds(enters_processes, &network)) layers |= tgp_layer_processes;
        if (succeeds(counts_processes, &network)) layers |= tgp_layer_process_count;
    }
    if (succeeds(restricts_files, &network)) layers |= tgp_layer_files;
    if ((layers & tgp_layer_files) && tgp_landlock_version() >= 4) layers |= tgp_layer_ports;
    if (succeeds(filters_calls, &network)) layers |= tgp_layer_calls;
    if (succeeds(sets_limits, &network)) layers |= tgp_layer_limits;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (network.user_namespace >= 0) close(network.user_namespace);
    if (network.network_namespace >= 0) close(network.network_namespace);
    return layers;
}
