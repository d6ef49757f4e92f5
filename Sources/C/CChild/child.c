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
    if (getppid() != parent) _exit(127);  // it died before we asked
}

/// Makes the three descriptors 0 to 2, whatever numbers they have now.
static int place_descriptors(const tgp_child *child) {
    int wanted[3] = {child->input, child->output, child->error};
    for (int i = 0; i < 3; i++) {
        if (wanted[i] < 3) wanted[i] = fcntl(wanted[i], F_DUPFD, 3);
        if (wanted[i] < 0) return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(wanted[i], i) < 0) return -1;
    }
    return 0;
}

static void run_program(const tgp_child *child, int failure) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (child->max_file_bytes > 0) {
        struct rlimit size = {child->max_file_bytes, child->max_file_bytes};
        setrlimit(RLIMIT_FSIZE, &size);
    }
    // Above the standard three, so that placing them cannot overwrite it; it closes on exec.
    int report = fcntl(failure, F_DUPFD_CLOEXEC, 10);
    if (report >= 0 && place_descriptors(child) == 0 && chdir(child->directory) == 0) {
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
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    unblock_signals();
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

/// The group's leader: lives as long as the program, and takes the group with it when the parent dies.
static void run_guard(const tgp_child *child, int failure, pid_t parent) {
    // A session of its own is also a group of its own, and has no terminal to ask for passwords on.
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
    // The requests to end are the program's; the guard ends when it does.
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
    // No handler of this program may run in the child.
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t parent = getpid();
    pid_t guard = fork();
    if (guard == 0) run_guard(child, report[1], parent);
    int failure = guard < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (guard > 0) {
        int code = 0;
        ssize_t got;
        do got = read(report[0], &code, sizeof code);
        while (got < 0 && errno == EINTR);
        if (got == sizeof code) {
            failure = code;
            while (waitpid(guard, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(report[0]);
    return failure ? -failure : guard;
}

int tgp_child_watch(pid_t child) {
    int descriptor = pidfd_open(child, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int tgp_child_reap(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return 127;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
