import Process
import System
import Glibc

/// Finds or starts the private server of a folder. All methods block.
struct PrivateServer: Sendable {
    private let folder: String
    private let program: String

    /// - Parameter stateDirectory: the folder above the server's folder; a relative path counts from the working folder.
    init(stateDirectory: String, program: String = "redis-server") throws(RedisError) {
        folder = try Self.absolute(stateDirectory) + "/redis"
        self.program = program
    }

    private static func absolute(_ path: String) throws(RedisError) -> String {
        let absolute = absolutePath(path)
        guard absolute.hasPrefix("/") else {
            throw RedisError(
                .configuration,
                "unable to use the relative path \(path.printable(atMost: 300)): the working folder does not exist any more"
            )
        }
        return absolute
    }

    /// Returns the address of the server once it answers.
    func running(until deadline: Deadline) throws(RedisError) -> RedisAddress {
        let address = RedisAddress(.unix(path: "\(folder)/redis.sock"))
        try RedisAddress.checkLength(of: "\(folder)/redis.sock")
        if try answers(address, until: deadline) { return address }
        try makeFolder()
        let lock = try lock("\(folder)/lock", until: deadline)
        defer { close(lock) }
        // Another tool may have started it while this one waited for the lock.
        if try answers(address, until: deadline) { return address }
        try start(until: deadline)
        while try !answers(address, until: deadline) {
            guard !deadline.hasPassed else { throw failed("it does not answer") }
            usleep(3000)
        }
        return address
    }

    /// Returns whether the server answers; false if nothing listens.
    private func answers(_ address: RedisAddress, until deadline: Deadline) throws(RedisError) -> Bool {
        let waiter = PollWaiter()
        if try Socket.isVacant("\(folder)/redis.sock", until: deadline, waiter: waiter) { return false }
        _ = try Link(to: address, clientName: "tgpipe", until: deadline, waiter: waiter)
        return true
    }

    /// Locks a file exclusively, until the returned descriptor is closed.
    private func lock(_ path: String, until deadline: Deadline) throws(RedisError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw RedisError(.configuration, "unable to open \(path.printable(atMost: 300)): \(systemReason(errno))")
        }
        let failure = lockFile(descriptor, LOCK_EX, within: deadline.remaining)
        guard failure == 0 else {
            close(descriptor)
            guard failure == EWOULDBLOCK else {
                throw RedisError(
                    .configuration, "unable to lock \(path.printable(atMost: 300)): \(systemReason(failure))")
            }
            throw RedisError(.timedOut, "another process holds \(path.printable(atMost: 300)) for too long: try again")
        }
        return descriptor
    }

    /// Makes the folder, with access for this user only.
    private func makeFolder() throws(RedisError) {
        let made = makeFolders(folder, mode: 0o700)
        guard made.error == 0 else {
            throw RedisError(
                .configuration,
                "unable to make the folder \(made.path.printable(atMost: 300)): \(systemReason(made.error))")
        }
        var status = stat()
        guard stat(folder, &status) == 0, status.st_uid == geteuid(), status.st_mode & S_IFMT == S_IFDIR,
            chmod(folder, 0o700) == 0
        else {
            throw RedisError(
                .configuration,
                "the folder \(folder.printable(atMost: 300)) belongs to another user, or is not a folder")
        }
    }

    private func start(until deadline: Deadline) throws(RedisError) {
        if let stray {
            throw failed("process \(stray) serves this folder, but its socket is missing: stop that process first")
        }
        let log = open("\(folder)/redis.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw failed("unable to write \(folder)/redis.log: \(systemReason(errno))") }
        defer { close(log) }
        let ending: ChildProcess.Ending?
        do throws(ChildProcess.Failure) {
            // The server puts itself into the background; this waits for the end of its foreground process.
            // The server outlives this process and needs none of its secrets.
            let variables = ["PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"].compactMap { name in
                Settings.environment(name).map { (name, $0) }
            }
            let child = try ChildProcess(
                Command(program, options, environment: Dictionary(uniqueKeysWithValues: variables)), input: .null,
                output: .descriptor(log), errors: .descriptor(log))
            ending = child.wait(atMost: deadline.remaining)
            if ending == nil { child.signal(SIGKILL) }
        } catch {
            throw error.code == ENOENT ? notInstalled : failed("\(error)")
        }
        guard ending == .exited(0) else { throw failed(lastLogLine ?? "see \(folder)/redis.log") }
    }

    private var notInstalled: RedisError {
        RedisError(
            .configuration,
            "redis-server is not installed: install it (Debian: apt-get install redis-server),"
                + " or set TGPIPE_REDIS to the address of a server")
    }

    private var options: [String] {
        [
            "--port", "0", "--unixsocket", "\(folder)/redis.sock", "--unixsocketperm", "600", "--dir", folder,
            "--daemonize", "yes", "--logfile", "\(folder)/redis.log", "--pidfile", "\(folder)/redis.pid",
            "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
        ]
    }

    /// The process id of a server that still uses the folder: a second one would write to the same file.
    private var stray: pid_t? {
        guard let text = contents(of: "\(folder)/redis.pid", last: 32),
            let pid = pid_t(text.prefix { $0.isNumber }),
            let workingFolder = realpath("/proc/\(pid)/cwd", nil)
        else { return nil }
        defer { free(workingFolder) }
        guard let ours = realpath(folder, nil) else { return nil }
        defer { free(ours) }
        return strcmp(workingFolder, ours) == 0 ? pid : nil
    }

    private func failed(_ reason: String) -> RedisError {
        RedisError(
            .configuration, "unable to start a private redis-server in \(folder): \(reason)".printable(atMost: 300))
    }

    /// The last line of the server's log.
    private var lastLogLine: String? {
        contents(of: "\(folder)/redis.log", last: 4096)?.split(separator: "\n").last.map(String.init)
    }

    private func contents(of path: String, last size: Int) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        fseek(file, -size, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: size)
        let count = fread(&bytes, 1, size, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
