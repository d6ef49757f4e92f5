// Starts every child process of the toolkit. Its one user is the Swift module Process.
//
// `run_program` is the last code of this project that runs in a child, whichever way it was started: a limit that is to hold
// for children is set there. jail.c confines the children that handle strangers' data.
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

/// Reports why there is no program, and ends. The parent then waits for this process.
static void fail(int descriptor, int code) {
    (void)!write(descriptor, &code, sizeof code);
    _exit(127);
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
        int code = child->jail ? tgp_jail_confine(child->jail) : 0;
        for (int i = 3; i < report; i++) close(i);
        close_range((unsigned)report + 1, ~0U, 0);
        unblock_signals();
        if (code == 0 && child->jail) code = tgp_jail_filter(child->jail);
        if (code != 0) fail(report, code | tgp_failed_jail);
        execve(child->path, child->arguments, child->environment);
    }
    fail(report >= 0 ? report : failure, errno);
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

/// Signals that ask a group to end are for the program. What watches it ends after it.
static void ignore_requests_to_end(void) {
    int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    unblock_signals();
}

/// Is the first process of a process namespace: collects what the program leaves behind, and reports through `result` how
/// the program ended. The kernel kills all other processes of the namespace when this one ends.
static void run_first(const tgp_child *child, int failure, int result) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t program = fork();
    if (program == 0) run_program(child, failure);
    if (program < 0) fail(failure, errno);
    if (dup2(result, 0) != 0) _exit(127);
    close_range(1, ~0U, 0);
    ignore_requests_to_end();
    int status = 0;
    for (pid_t ended = 0; ended != program;) {
        ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno != EINTR) _exit(127);
    }
    (void)!write(0, &status, sizeof status);
    _exit(0);
}

/// Starts the program, by way of the first process of a process namespace if the jail has one.
static pid_t start_guarded(const tgp_child *child, int failure, int result[2]) {
    if (child->jail) {
        int code = tgp_jail_enter(child->jail);
        if (code != 0) fail(failure, code | tgp_failed_jail);
    }
    bool has_namespace = child->jail && (child->jail->layers & tgp_layer_processes);
    if (has_namespace && pipe2(result, O_CLOEXEC) != 0) fail(failure, errno);
    pid_t self = getpid();
    pid_t started = fork();
    if (started == 0) {
        if (has_namespace) run_first(child, failure, result[1]);
        die_with_parent(SIGKILL, self);
        run_program(child, failure);
    }
    if (started < 0) fail(failure, errno);
    return started;
}

/// Waits until the program has ended, and with it everything in its process namespace; returns how it ended.
static int wait_for(pid_t started, bool has_result) {
    int status = 0;
    while (waitpid(started, &status, 0) < 0 && errno == EINTR) {}
    int of_program = 0;
    // The standard input is the pipe from the namespace's first process, which was killed if it reports nothing.
    if (has_result && WIFEXITED(status) && read(0, &of_program, sizeof of_program) == sizeof of_program) return of_program;
    return status;
}

/// Leads the group: lives as long as the program, and kills the group when the parent dies.
static void run_guard(const tgp_child *child, int failure, pid_t parent) {
    // A new session is also a new group. It has no terminal, so that a program cannot ask for passwords on one.
    setsid();
    default_signals();
    int result[2] = {-1, -1};
    pid_t started = start_guarded(child, failure, result);
    bool has_result = result[0] >= 0;
    if (has_result && dup2(result[0], 0) != 0) kill(0, SIGKILL);
    close_range(has_result, ~0U, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = kill_group;
    sigaction(SIGUSR1, &action, NULL);
    ignore_requests_to_end();
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (getppid() != parent) kill(0, SIGKILL);
    end_like(wait_for(started, has_result));
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
