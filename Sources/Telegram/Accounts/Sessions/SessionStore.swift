import System
import Glibc

/// Stores sessions by name, each in a file that only its owner can read.
///
/// A file is replaced as a whole: the old content stays until the new content is on the disk.
package struct SessionStore: Sendable {
    private static let suffix = ".session.json"
    private static let maxNameLength = 64
    /// The limit of a file; a session takes some hundred bytes per data centre.
    private static let maxBytes = 1 << 20

    package let folder: String
    private let seal: SessionSeal?

    /// - Parameters:
    ///   - folder: created for its owner only when the first session is saved.
    ///   - seal: encrypts the sessions that are saved; a plain file is encrypted when it is next saved.
    package init(folder: String, seal: SessionSeal? = nil) { (self.folder, self.seal) = (folder, seal) }

    /// Returns the path of a session's file.
    ///
    /// - Throws: `AccountError`: `invalidName`.
    package func path(_ name: String) throws(AccountError) -> String {
        let isRight = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
        }
        guard isRight, !name.isEmpty, name.utf8.count <= SessionStore.maxNameLength, !name.hasPrefix(".") else {
            throw AccountError(
                .invalidName,
                "a session name must have 1 to \(SessionStore.maxNameLength) letters, digits, '-', '_' and '.'")
        }
        return "\(folder)/\(name)\(SessionStore.suffix)"
    }

    /// Reads a session.
    ///
    /// - Throws: `AccountError`: `notFound`, `exposed`, `locked`, `damaged`, `otherVersion`, `sessionIO`.
    package func load(_ name: String) throws(AccountError) -> AccountSession {
        let path = try path(name)
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .system("unable to read \(path)") }
            throw AccountError(
                .notFound, "there is no session named '\(name)': log in first (tg-session login \(name))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_size <= SessionStore.maxBytes
        else { throw AccountError(.damaged, "the session file \(path) is not a regular file, or is too large") }
        guard status.st_mode & 0o077 == 0 else {
            throw AccountError(.exposed, "other users may read the session file \(path): run chmod 600 \(path)")
        }
        guard let file = readAll(descriptor, atMost: Int(status.st_size)) else {
            throw .system("unable to read \(path)")
        }
        return try SessionFile.session(try SessionSeal.content(of: file, path: path, seal: seal), path: path)
    }

    /// Creates the folder if it is missing.
    ///
    /// - Throws: `AccountError`, `sessionIO`.
    package func prepare() throws(AccountError) {
        let (failure, path) = makeFolders(folder, mode: 0o700)
        guard failure == 0 else { throw .system("unable to create \(path)", failure) }
    }

    /// Saves a session, and replaces an existing one of that name.
    ///
    /// - Parameter isNew: whether an existing session of that name is an error.
    /// - Throws: `AccountError`: `exists`, `sessionIO`.
    package func save(_ session: AccountSession, as name: String, isNew: Bool = false) throws(AccountError) {
        let path = try path(name)
        try prepare()
        if !isNew { sweep(name) }
        let temporary = "\(folder)/.\(name).\(UInt64.random(in: 0...UInt64.max))"
        do throws(SystemError) {
            let file = try AtomicFile(at: temporary)
            let content = SessionFile.bytes(session)
            try file.write(seal?.sealed(content) ?? content)
            try file.publish(as: path, isNew: isNew)
        } catch {
            if isNew, error.number == EEXIST {
                throw AccountError(.exists, "a session named '\(name)' exists already")
            }
            throw .system("unable to write \(path)", error.number)
        }
        try flush()
    }

    /// Deletes a session.
    ///
    /// - Throws: `AccountError`: `notFound`, `sessionIO`.
    package func remove(_ name: String) throws(AccountError) {
        let path = try path(name)
        sweep(name)
        guard unlink(path) == 0 else {
            guard errno == ENOENT else { throw .system("unable to remove \(path)") }
            throw AccountError(.notFound, "there is no session named '\(name)'")
        }
        try flush()
    }

    /// Returns the names of all sessions, sorted.
    package func names() -> [String] {
        (folderEntries(folder) ?? [])
            .filter { $0.hasSuffix(SessionStore.suffix) && !$0.hasPrefix(".") }
            .map { String($0.dropLast(SessionStore.suffix.count)) }.sorted()
    }

    /// Removes temporary files of this session, which hold keys, that killed processes left behind.
    private func sweep(_ name: String) {
        let start = ".\(name)."
        for entry in folderEntries(folder) ?? []
        where entry.hasPrefix(start) && UInt64(entry.dropFirst(start.count)) != nil {
            unlink("\(folder)/\(entry)")
        }
    }

    /// Writes the folder's entries to the disk, so that new names survive a power failure.
    private func flush() throws(AccountError) {
        let failure = syncFolder(folder)
        guard failure == 0 else { throw .system("unable to write to \(folder)", failure) }
    }
}

extension AccountError {
    static func system(_ what: String, _ number: Int32 = errno) -> AccountError {
        AccountError(.sessionIO, "\(what): \(String(cString: strerror(number)))")
    }
}
