import System
import Glibc

/// The folder of one content address, held by one process at a time.
///
/// It keeps what a fetch has so far, so that another attempt, in this process or a later one, goes on from there. The
/// lock is the kernel's: it ends with the process, however that ends.
final class JobFolder: Sendable {
    let path: String
    private let lock: Int32

    private init(path: String, lock: Int32) {
        self.path = path
        self.lock = lock
    }

    deinit { close(lock) }

    /// The path of a file in the folder.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes the folder if needed and waits until no other process, and nobody else in this one, holds it.
    ///
    /// - Parameter onWaiting: called once when somebody else holds it.
    static func open(
        root: String, hash: String, deadline: ContinuousClock.Instant, onWaiting: () -> Void
    ) async throws(MediaError) -> JobFolder {
        var hasWaited = false
        while true {
            if let folder = try tryToOpen(root: root, hash: hash) { return folder }
            if !hasWaited { onWaiting() }
            hasWaited = true
            guard ContinuousClock.now < deadline else {
                throw MediaError(.timedOut, "Somebody else has been fetching this for too long.")
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { throw .cancelled }
        }
    }

    /// The folder, or nil when somebody holds it.
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

    /// Lets the next one in. What still refers to the folder must not touch it any more.
    func unlock() {
        flock(lock, LOCK_UN)
    }

    /// Whether there is nothing but the lock.
    var isEmpty: Bool { (folderEntries(path) ?? []).allSatisfy { $0 == "lock" } }

    /// Removes everything in the folder but its lock and the files named.
    func empty(except kept: String...) {
        for name in folderEntries(path) ?? [] where name != "lock" && !kept.contains(name) {
            removeAll(file(name))
        }
    }

    /// Removes the folder; whoever waits for it makes a new one.
    func remove() {
        empty()
        unlink(file("lock"))
        rmdir(path)
    }

    /// Whether the locked file is still the one of that name: a sweep may have removed it while it was waited for.
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

/// Removes a file, or a folder with all that is in it; follows no links.
func removeAll(_ path: String) {
    guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
    for name in folderEntries(path) ?? [] { removeAll("\(path)/\(name)") }
    rmdir(path)
}
