// Starts every child process of the toolkit. Its one user is the Swift module Process.
//
// `run_program` is the last code of this project that runs in a child, whichever way it was started: a limit, or a
// sandbox, that is to hold for children is set there.
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

// Between fork and exec only async-signal-safe calls: other threads of the parent may have held any lock.

static void default_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
}

static void unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with_parent(int number, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, number);
    if (getppid() != parent) _exit(127);  // The parent died before the request took effect.
}

static void forbid_core_files(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

/// Gives the three descriptors the numbers 0 to 2. A descriptor that has its number already may also be closed.
static int place_descriptors(const tgp_child *child) {
    int wanted[3] = {child->input, child->output, child->error};
    for (int i = 0; i < 3; i++) {
        if (wanted[i] == i || wanted[i] >= 3) continue;
        wanted[i] = fcntl(wanted[i], F_DUPFD, 3);
        if (wanted[i] < 0) return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (wanted[i] == i) {
            (void)fcntl(i, F_SETFD, 0);
        } else if (dup2(wanted[i], i) < 0) {
            return -1;
        }
    }
    return 0;
}

/// Sets the limits and executes the program. Reports the error's number through `failure` when that fails.
static void run_program(const tgp_child *child, int failure) {
    if (child->is_guarded) forbid_core_files();
    if (child->max_file_bytes > 0) {
        struct rlimit size = {child->max_file_bytes, child->max_file_bytes};
        setrlimit(RLIMIT_FSIZE, &size);
    }
    // Above the standard three, so that placing them cannot overwrite it; it closes on exec.
    int report = fcntl(failure, F_DUPFD_CLOEXEC, 10);
    if (report >= 0 && place_descriptors(child) == 0 && (!child->directory || chdir(child->directory) == 0)) {
        for (int i = 3; i < report; i++) close(i);
        close_range((unsigned)report + 1, ~0U, 0);
        unblock_signals();
        execve(child->path, child->arguments, child->environment);
    }
    int code = errno;
    if (report >= 0) (void)!write(report, &code, sizeof code);
    _exit(127);
}

static void kill_group(int number) {
    (void)number;
    kill(0, SIGKILL);
}

static void end_like(int status) {
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    forbid_core_files();
    unblock_signals();
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

/// Runs the program in a group of its own, without a guard.
static void run_alone(const tgp_child *child, int failure) {
    setpgid(0, 0);
    default_signals();
    run_program(child, failure);
}

/// Leads the group: lives as long as the program, and kills the group when the parent dies.
static void run_guard(const tgp_child *child, int failure, pid_t parent) {
    // A new session is also a new group. It has no terminal, so that a program cannot ask for passwords on one.
    setsid();
    default_signals();
    pid_t self = getpid();
    pid_t program = fork();
    if (program == 0) {
        die_with_parent(SIGKILL, self);
        run_program(child, failure);
    }
    if (program < 0) {
        int code = errno;
        (void)!write(failure, &code, sizeof code);
        _exit(127);
    }
    close_range(0, ~0U, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = kill_group;
    sigaction(SIGUSR1, &action, NULL);
    // Signals that ask the group to end are for the program. The guard ends after it.
    int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    unblock_signals();
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (getppid() != parent) kill(0, SIGKILL);
    int status = 0;
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {}
    end_like(status);
}

pid_t tgp_child_start(const tgp_child *child) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    sigset_t all, before;
    sigfillset(&all);
    // No signal handler of this program may run in the child.
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t parent = getpid();
    pid_t started = fork();
    if (started == 0) {
        if (child->is_guarded) run_guard(child, report[1], parent);
        run_alone(child, report[1]);
    }
    int failure = started < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (started > 0) {
        int code = 0;
        ssize_t got;
        do got = read(report[0], &code, sizeof code);
        while (got < 0 && errno == EINTR);
        if (got == sizeof code) {
            failure = code;
            while (waitpid(started, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(report[0]);
    return failure ? -failure : started;
}

int tgp_child_watch(pid_t child) {
    int descriptor = pidfd_open(child, 0);
    return descriptor < 0 ? -errno : descriptor;
}
