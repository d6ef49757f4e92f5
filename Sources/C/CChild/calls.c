// The filter for the system calls of children that handle strangers' data. See jail.h.
//
// It is a list of what is denied: what yt-dlp, Python, ffmpeg and JavaScript engines call differs by version. Denied are
// calls that no such program needs and that reach around the other layers, or that attacks on the kernel begin with.
#define _GNU_SOURCE
#include "jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifndef ARCHITECTURE

int tgp_jail_filter(const tgp_jail *jail) { return jail->layers & tgp_layer_calls ? ENOSYS : 0; }

#else

/// Calls that are denied whatever their arguments are. Compilers and kernels differ in which ones they have.
static const int denied_calls[] = {
#ifdef SYS_mount
    SYS_mount,
#endif
#ifdef SYS_umount2
    SYS_umount2,
#endif
#ifdef SYS_pivot_root
    SYS_pivot_root,
#endif
#ifdef SYS_chroot
    SYS_chroot,
#endif
#ifdef SYS_move_mount
    SYS_move_mount,
#endif
#ifdef SYS_open_tree
    SYS_open_tree,
#endif
#ifdef SYS_fsopen
    SYS_fsopen,
#endif
#ifdef SYS_fsconfig
    SYS_fsconfig,
#endif
#ifdef SYS_fsmount
    SYS_fsmount,
#endif
#ifdef SYS_fspick
    SYS_fspick,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
#ifdef SYS_unshare
    SYS_unshare,
#endif
#ifdef SYS_setns
    SYS_setns,
#endif
#ifdef SYS_ptrace
    SYS_ptrace,
#endif
#ifdef SYS_process_vm_readv
    SYS_process_vm_readv,
#endif
#ifdef SYS_process_vm_writev
    SYS_process_vm_writev,
#endif
#ifdef SYS_process_madvise
    SYS_process_madvise,
#endif
#ifdef SYS_kcmp
    SYS_kcmp,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef SYS_perf_event_open
    SYS_perf_event_open,
#endif
#ifdef SYS_bpf
    SYS_bpf,
#endif
#ifdef SYS_userfaultfd
    SYS_userfaultfd,
#endif
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
#ifdef SYS_io_uring_enter
    SYS_io_uring_enter,
#endif
#ifdef SYS_io_uring_register
    SYS_io_uring_register,
#endif
#ifdef SYS_add_key
    SYS_add_key,
#endif
#ifdef SYS_request_key
    SYS_request_key,
#endif
#ifdef SYS_keyctl
    SYS_keyctl,
#endif
#ifdef SYS_init_module
    SYS_init_module,
#endif
#ifdef SYS_finit_module
    SYS_finit_module,
#endif
#ifdef SYS_delete_module
    SYS_delete_module,
#endif
#ifdef SYS_kexec_load
    SYS_kexec_load,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_open_by_handle_at
    SYS_open_by_handle_at,
#endif
#ifdef SYS_name_to_handle_at
    SYS_name_to_handle_at,
#endif
#ifdef SYS_fanotify_init
    SYS_fanotify_init,
#endif
#ifdef SYS_quotactl
    SYS_quotactl,
#endif
#ifdef SYS_quotactl_fd
    SYS_quotactl_fd,
#endif
#ifdef SYS_acct
    SYS_acct,
#endif
#ifdef SYS_swapon
    SYS_swapon,
#endif
#ifdef SYS_swapoff
    SYS_swapoff,
#endif
#ifdef SYS_reboot
    SYS_reboot,
#endif
#ifdef SYS_sethostname
    SYS_sethostname,
#endif
#ifdef SYS_setdomainname
    SYS_setdomainname,
#endif
#ifdef SYS_syslog
    SYS_syslog,
#endif
#ifdef SYS_settimeofday
    SYS_settimeofday,
#endif
#ifdef SYS_clock_settime
    SYS_clock_settime,
#endif
#ifdef SYS_clock_adjtime
    SYS_clock_adjtime,
#endif
#ifdef SYS_adjtimex
    SYS_adjtimex,
#endif
#ifdef SYS_personality
    SYS_personality,
#endif
#ifdef SYS_vhangup
    SYS_vhangup,
#endif
#ifdef SYS_iopl
    SYS_iopl,
#endif
#ifdef SYS_ioperm
    SYS_ioperm,
#endif
#ifdef SYS_modify_ldt
    SYS_modify_ldt,
#endif
#ifdef SYS_lookup_dcookie
    SYS_lookup_dcookie,
#endif
    // It would tell the names of files in folders that the program may not read.
    SYS_inotify_add_watch,
};

/// Calls that change a file's mode, owner, attributes or times. Landlock does not control them, so that a program could make any
/// file of its user, named by its path, readable for everybody, or run as that user.
///
/// They succeed without effect: programs make them for their own files as well, and would stop at an error.
static const int ineffective_calls[] = {
#ifdef SYS_chmod
    SYS_chmod,
#endif
    SYS_fchmod,
    SYS_fchmodat,
    452,  // fchmodat2
#ifdef SYS_chown
    SYS_chown,
#endif
#ifdef SYS_lchown
    SYS_lchown,
#endif
    SYS_fchown,
    SYS_fchownat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    463,  // setxattrat
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    466,  // removexattrat
    469,  // file_setattr
#ifdef SYS_utime
    SYS_utime,
#endif
#ifdef SYS_utimes
    SYS_utimes,
#endif
#ifdef SYS_futimesat
    SYS_futimesat,
#endif
    SYS_utimensat,
};

enum { max_instructions = 512 };

typedef struct {
    struct sock_filter code[max_instructions];
    unsigned short count;
} program;

static void add(program *program, struct sock_filter instruction) {
    // The caller refuses a program that has become too long.
    if (program->count < max_instructions) program->code[program->count] = instruction;
    program->count++;
}

static void load(program *program, size_t offset) {
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void load_argument(program *program, int number) {
    // The low half: both architectures are little-endian.
    load(program, offsetof(struct seccomp_data, args) + 8 * (size_t)number);
}

/// Begins a block for one value of what is loaded. Returns what `end_block` needs.
static unsigned short begin_block(program *program, uint32_t value) {
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0));
    return program->count;
}

static void end_block(program *program, unsigned short start) {
    if (start > max_instructions) return;
    program->code[start - 1].jf = (uint8_t)(program->count - start);
}

static void deny(program *program, int code) {
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code));
}

static void permit(program *program) {
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void check_architecture(program *program) {
    load(program, offsetof(struct seccomp_data, arch));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    // The numbers of the x32 interface, which name the same calls once more.
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
    deny(program, ENOSYS);
#endif
}

/// Permits a protocol if it is the usual one of the socket's type, given by its number or by 0.
static void permit_protocol(program *program, uint32_t type, uint32_t protocol) {
    unsigned short block = begin_block(program, type);
    load_argument(program, 2);
    for (int i = 0; i < 2; i++) {
        unsigned short usual = begin_block(program, i == 0 ? 0 : protocol);
        permit(program);
        end_block(program, usual);
    }
    deny(program, EPERM);
    end_block(program, block);
}

/// Permits no sockets but those for TCP and, inside an own network, for datagrams. Landlock controls only plain TCP, and not
/// Unix sockets, at which databases and container engines listen.
static void check_sockets(program *program, bool permits_datagrams) {
    unsigned short block = begin_block(program, SYS_socket);
    load_argument(program, 0);
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0));
    deny(program, EAFNOSUPPORT);
    load_argument(program, 1);
    // Without the bits for close-on-exec and non-blocking.
    add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf));
    permit_protocol(program, SOCK_STREAM, IPPROTO_TCP);
    if (permits_datagrams) permit_protocol(program, SOCK_DGRAM, IPPROTO_UDP);
    deny(program, EPERM);
    end_block(program, block);
}

/// Permits pairs of connected sockets only of the kinds that stay connected. A pair of datagram sockets can send to any Unix
/// socket of its kind, such as those of the system's log and of the service manager. The kernel takes SOCK_RAW for that kind, too.
static void check_pairs(program *program) {
    unsigned short block = begin_block(program, SYS_socketpair);
    load_argument(program, 0);
    unsigned short unix_sockets = begin_block(program, AF_UNIX);
    load_argument(program, 1);
    add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf));
    const uint32_t connected[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        unsigned short kind = begin_block(program, connected[i]);
        permit(program);
        end_block(program, kind);
    }
    end_block(program, unix_sockets);
    deny(program, EPERM);
    end_block(program, block);
}

/// A call that sends can also connect (TCP Fast Open). Landlock's ports do not apply to that way.
static void check_sending(program *program) {
    const struct {
        uint32_t call;
        int flags;
    } calls[] = {{SYS_sendto, 3}, {SYS_sendmsg, 2}, {SYS_sendmmsg, 3}};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        unsigned short block = begin_block(program, calls[i].call);
        load_argument(program, calls[i].flags);
        add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 0, 1));
        deny(program, EOPNOTSUPP);
        permit(program);
        end_block(program, block);
    }
}

/// New namespaces are denied. The flags of clone3 lie in memory, where a filter cannot see them; the C library then
/// falls back to clone.
static void check_clones(program *program) {
    unsigned short block = begin_block(program, SYS_clone);
    load_argument(program, 0);
    uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, namespaces, 0, 1));
    deny(program, EPERM);
    permit(program);
    end_block(program, block);
    block = begin_block(program, SYS_clone3);
    deny(program, ENOSYS);
    end_block(program, block);
}

/// A process may neither type into a terminal nor change the limits of another one.
static void check_arguments(program *program) {
    unsigned short block = begin_block(program, SYS_ioctl);
    load_argument(program, 1);
    for (int i = 0; i < 2; i++) {
        unsigned short request = begin_block(program, i == 0 ? TIOCSTI : TIOCLINUX);
        deny(program, EPERM);
        end_block(program, request);
    }
    permit(program);
    end_block(program, block);
    block = begin_block(program, SYS_prlimit64);
    load_argument(program, 0);
    unsigned short own = begin_block(program, 0);
    permit(program);
    end_block(program, own);
    deny(program, EPERM);
    end_block(program, block);
}

/// Answers a call with an error number, or with success without effect for 0.
static void answer_call(program *program, int number, int code) {
    unsigned short block = begin_block(program, (uint32_t)number);
    deny(program, code);
    end_block(program, block);
}

int tgp_jail_filter(const tgp_jail *jail) {
    if (!(jail->layers & tgp_layer_calls)) return 0;
    program program = {.count = 0};
    check_architecture(&program);
    check_sockets(&program, jail->permits_datagrams);
    check_pairs(&program);
    check_sending(&program);
    check_clones(&program);
    check_arguments(&program);
    for (unsigned i = 0; i < sizeof denied_calls / sizeof *denied_calls; i++)
        answer_call(&program, denied_calls[i], EPERM);
    for (unsigned i = 0; i < sizeof ineffective_calls / sizeof *ineffective_calls; i++)
        answer_call(&program, ineffective_calls[i], 0);
    // Landlock's first versions let any file be cut short.
    if (tgp_landlock_version() < 3) answer_call(&program, SYS_truncate, EPERM);
    permit(&program);
    if (program.count > max_instructions) return E2BIG;
    struct sock_fprog filter = {program.count, program.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0 ? 0 : errno;
}

#endif
