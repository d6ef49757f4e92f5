import Glibc

/// Starts a program that puts itself into the background.
enum Daemon {
    struct Failure: Error {
        /// The system's error number.
        let code: Int32
    }

    /// Runs a program until its foreground part ends; that part's exit status.
    ///
    /// It inherits nothing: no descriptor but `output` as 1 and 2 (so that no pipe of the tool's stays open in it), no
    /// blocked or ignored signals, no terminal's process group.
    static func spawn(_ arguments: [String], output: Int32, until deadline: Deadline) -> Result<Int32, Failure> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        for descriptor in inheritable { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var attributes = freshAttributes()
        defer { posix_spawnattr_destroy(&attributes) }
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid = pid_t()
        let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &words, environ)
        return code == 0 ? wait(for: pid, until: deadline) : .failure(Failure(code: code))
    }

    private static func freshAttributes() -> posix_spawnattr_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))
        return attributes
    }

    /// Open descriptors that a child would get, such as those that a shell handed to this tool.
    private static var inheritable: [Int32] {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let descriptor = Int32(name), descriptor > 2 else { continue }
            if fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 { found.append(descriptor) }
        }
        return found
    }

    private static func wait(for pid: pid_t, until deadline: Deadline) -> Result<Int32, Failure> {
        var status: Int32 = 0
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { return .success(status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F) }
            // Somebody else waits for this process's children; whether the program runs shows otherwise.
            if ended < 0 && errno == ECHILD { return .success(0) }
            if deadline.hasPassed {
                kill(pid, SIGKILL)
                waitpid(pid, &status, 0)
                return .failure(Failure(code: ETIMEDOUT))
            }
            usleep(2000)
        }
    }
}
