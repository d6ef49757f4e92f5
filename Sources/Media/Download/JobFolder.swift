import Glibc
import JSON
import System

/// Holds the folder of one content address, which one process at a time may use.
///
/// The folder keeps the progress of a fetch, so that a later attempt, in this or another process, continues from
/// there. The lock is the kernel's: it ends with the process, however that ends.
final class JobFolder: Sendable {
    let path: String
    private let lock: Int32

    private init(path: String, lock: Int32) {
        self.path = path
        self.lock = lock
    }

    deinit { close(lock) }

    /// Returns the path of a file in the folder.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes the folder if needed, and waits until no other job holds it, in this process or another.
    ///
    /// - Parameter onWaiting: called once if the folder is held.
    /// - Throws: `timedOut` at the deadline, `cancelled`, `localIO`.
    static func open(
        root: String, hash: String, deadline: ContinuousClock.Instant, onWaiting: () -> Void
    ) async throws(MediaError) -> JobFolder {
        var hasWaited = false
        while true {
            if let folder = try tryToOpen(root: root, hash: hash) { return folder }
            if !hasWaited { onWaiting() }
            hasWaited = true
            guard ContinuousClock.now < deadline else {
                throw MediaError(.timedOut, "Another job has been fetching this for too long.")
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { throw .cancelled }
        }
    }

    /// Returns the folder; nil when another job holds it.
    static func tryToOpen(root: String, hash: String) throws(MediaError) -> JobFolder? {
        try make(root)
        let path = "\(root)/\(hash)"
        try make(path)
        let lock = Glibc.open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if lock < 0, errno == ENOENT { return nil }  // swept away this moment
        guard lock >= 0 else { throw .local("open a lock file", errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0, isCurrent(lock, "\(path)/lock") else {
            close(lock)
            return nil
        }
        return JobFolder(path: path, lock: lock)
    }

    /// Releases the folder to the next job. This job must not touch it any more.
    func unlock() {
        flock(lock, LOCK_UN)
    }

    /// Is true if the folder holds only its lock.
    var isEmpty: Bool { (folderEntries(path) ?? []).allSatisfy { $0 == "lock" } }

    /// Removes everything in the folder except its lock and the named files.
    func empty(except kept: String...) {
        for name in folderEntries(path) ?? [] where name != "lock" && !kept.contains(name) {
            removeTree(file(name))
        }
    }

    /// Removes the folder. A job that waits for it makes a new one.
    func remove() {
        empty()
        unlink(file("lock"))
        rmdir(path)
    }

    /// Returns whether the locked file still has its name: a sweep may have removed it during the wait.
    private static func isCurrent(_ descriptor: Int32, _ path: String) -> Bool {
        var mine = stat()
        var named = stat()
        return fstat(descriptor, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino
    }

    private static func make(_ folder: String) throws(MediaError) {
        let made = makeFolders(folder, mode: 0o700)
        guard made.error == 0 else { throw .local("make the folder for downloads", made.error) }
    }
}

/// Reads and writes small files of a job, such as its progress. A file is replaced as a whole.
enum SmallFile {
    /// Returns the JSON object in a file; nil when there is none, or it cannot be read.
    static func read(_ path: String, maxBytes: Int = 64 << 10) -> JSONObject? {
        guard let bytes = readBytes(path, maxBytes: maxBytes) else { return nil }
        return try? bytes.withUnsafeBytes { try JSONParser().parse($0) }.object
    }

    /// Returns the bytes of a file; nil when there is none, or it is longer than `maxBytes`.
    static func readBytes(_ path: String, maxBytes: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_size <= maxBytes else {
            return nil
        }
        return readAll(descriptor, atMost: Int(info.st_size))
    }

    /// Returns the first bytes of a file: fewer when it is shorter, nil when there is none.
    static func readBeginning(_ path: String, count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = Glibc.read(descriptor, &bytes, count)
        return got < 0 ? nil : Array(bytes.prefix(got))
    }

    /// Replaces a file of a job's folder by a JSON object. Only one process at a time holds the folder.
    ///
    /// - Parameter isDurable: whether the file survives a loss of power; otherwise it may be empty after one.
    /// - Throws: `localIO`, `noSpace`.
    static func write(_ object: JSONObject, to path: String, isDurable: Bool = true) throws(MediaError) {
        try write(JSON.object(object).bytes, to: path, isDurable: isDurable)
    }

    /// Replaces a file of a job's folder by the given bytes. See `write(_:to:isDurable:)` for JSON objects.
    static func write(_ bytes: [UInt8], to path: String, isDurable: Bool = true) throws(MediaError) {
        do throws(SystemError) {
            try AtomicFile.replace(path, with: bytes, durability: isDurable ? .power : .process)
        } catch {
            throw .local("write a file", error.number)
        }
    }
}

/// Copies files within the kernel.
enum FileCopy {
    static func copy(_ source: String, to target: String) throws(MediaError) {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw .local("read the file", errno) }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw .local("write a file", errno) }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 64 << 20)
            if count < 0, errno == EINTR { continue }
            if count == 0 { return }
            guard count > 0 else {
                let failure = errno
                unlink(target)
                throw .local("copy a file", failure)
            }
        }
    }
}
