import Glibc

/// Writes a file under a temporary name and gives it its own name once it is complete.
///
/// Readers of that name see the old file or the new one, never a part. The temporary file is removed with this object unless
/// it was published; a killed process leaves it behind. All methods block.
package final class AtomicFile {
    /// Says which failures a published file survives.
    package enum Durability: Sendable {
        /// A kill of the process, but not a loss of power, after which the file may be empty.
        case process
        /// A loss of power, too: the file and its folder are brought to the disk.
        case power
    }

    /// The path of the temporary file.
    package let temporaryPath: String
    /// The open temporary file, for reading and writing. It closes with this object.
    package let descriptor: Int32
    private var isPending = true
    /// Is true if `sync` was called after the last write.
    private var isSynced = false

    /// Makes an empty temporary file.
    ///
    /// - Parameters:
    ///   - temporaryPath: a path on the file system of the final name.
    ///   - mode: the permissions, of which the process's umask takes some away.
    ///   - isReplaceable: whether a file of that name, which a killed process left, is removed first. Only for a name that no
    ///     other process uses at the same time.
    /// - Throws: `SystemError`.
    package init(
        at temporaryPath: String, mode: UInt32 = 0o600, isReplaceable: Bool = false
    ) throws(SystemError) {
        self.temporaryPath = temporaryPath
        let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (isReplaceable ? O_TRUNC : O_EXCL)
        descriptor = open(temporaryPath, flags, mode)
        var info = stat()
        guard descriptor >= 0, fstat(descriptor, &info) == 0 else {
            isPending = false
            throw SystemError(errno)
        }
        // A write to a pipe of that name could wait for ever.
        guard info.st_mode & S_IFMT == S_IFREG else {
            isPending = false
            throw SystemError(EEXIST)
        }
    }

    /// Gives a file that is open already a further, temporary name.
    ///
    /// - Returns: nil when the file system, or the file's owner, does not allow it.
    package init?(linkingTo descriptor: Int32, at temporaryPath: String) {
        self.temporaryPath = temporaryPath
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        let source = "/proc/self/fd/\(self.descriptor)"
        guard self.descriptor >= 0, linkat(AT_FDCWD, source, AT_FDCWD, temporaryPath, AT_SYMLINK_FOLLOW) == 0 else {
            isPending = false
            return nil
        }
    }

    deinit {
        if isPending { unlink(temporaryPath) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Appends bytes.
    ///
    /// - Throws: `SystemError`.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        isSynced = false
        let failure = writeAll(descriptor, bytes)
        guard failure == 0 else { throw SystemError(failure) }
    }

    /// Appends bytes.
    ///
    /// - Throws: `SystemError`.
    package func write(_ bytes: [UInt8]) throws(SystemError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(SystemError) in try write(UnsafeRawBufferPointer(bytes)) }
    }

    /// Brings the bytes written so far to the disk.
    ///
    /// - Throws: `SystemError`.
    package func sync() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw SystemError(errno) }
        isSynced = true
    }

    /// Gives the file its name.
    ///
    /// - Parameters:
    ///   - path: the name, on the same file system.
    ///   - isNew: whether a file that has this name already is kept, and `EEXIST` is thrown; otherwise it is replaced.
    /// - Throws: `SystemError`.
    package func publish(
        as path: String, durability: Durability = .power, isNew: Bool = false
    ) throws(SystemError) {
        if durability == .power, !isSynced { try sync() }
        if isNew {
            // Unlike a rename, a link is made only where there is no file.
            guard link(temporaryPath, path) == 0 else { throw SystemError(errno) }
            unlink(temporaryPath)
        } else {
            guard rename(temporaryPath, path) == 0 else { throw SystemError(errno) }
        }
        isPending = false
        if durability == .power { syncFolder(parentFolder(path)) }
    }

    /// Replaces a file.
    ///
    /// - Parameters:
    ///   - path: the file. Only one process at a time may replace it: the temporary name is `PATH.new`.
    ///   - mode: the permissions of the new file.
    /// - Throws: `SystemError`; the old file is unchanged then.
    package static func replace(
        _ path: String, with bytes: [UInt8], mode: UInt32 = 0o600, durability: Durability
    ) throws(SystemError) {
        let file = try AtomicFile(at: path + ".new", mode: mode, isReplaceable: true)
        try file.write(bytes)
        try file.publish(as: path, durability: durability)
    }
}

/// Brings a folder's entries to the disk, so that a new or changed name survives a loss of power. Blocks.
///
/// - Returns: 0, or the error's number. Some file systems cannot do this; the change itself has been made then.
@discardableResult
package func syncFolder(_ path: String) -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    return fsync(descriptor) == 0 ? 0 : errno
}
