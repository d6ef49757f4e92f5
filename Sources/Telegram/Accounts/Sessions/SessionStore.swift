import System
import Glibc

/// Sessions by name, each in a file of its own that nobody else can read.
///
/// A file is replaced as a whole: what was there before is there until the new one is on the disk.
package struct SessionStore: Sendable {
    private static let suffix = ".session.json"
    private static let longest = 64
    /// A session has some hundred bytes a data centre.
    private static let maxBytes = 1 << 20

    package let folder: String

    /// - Parameter folder: made when something is saved, for its owner only.
    package init(folder: String) { self.folder = folder }

    /// - Throws: `AccountError`: `invalidName`.
    package func path(_ name: String) throws(AccountError) -> String {
        let isRight = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
        }
        guard isRight, !name.isEmpty, name.utf8.count <= SessionStore.longest, !name.hasPrefix(".") else {
            throw AccountError(
                .invalidName, "a session's name has 1 to \(SessionStore.longest) letters, digits, '-', '_' and '.'")
        }
        return "\(folder)/\(name)\(SessionStore.suffix)"
    }

    /// - Throws: `AccountError`: `notFound`, `exposed`, `damaged`, `otherVersion`, `localIO`.
    package func load(_ name: String) throws(AccountError) -> AccountSession {
        let path = try path(name)
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .system("unable to read \(path)") }
            throw AccountError(
                .notFound, "there is no session of the name '\(name)': log in first (tg-session login \(name))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_size <= SessionStore.maxBytes
        else { throw AccountError(.damaged, "the session file \(path) is no file, or too long for one") }
        guard status.st_mode & 0o077 == 0 else {
            throw AccountError(.exposed, "others may read the session file \(path): chmod 600 \(path)")
        }
        return try SessionFile.session(try SessionStore.read(descriptor, Int(status.st_size), path), path: path)
    }

    private static func read(_ descriptor: Int32, _ size: Int, _ path: String) throws(AccountError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let got = bytes[count...].withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw .system("unable to read \(path)") }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    /// Makes the folder, when it is not there.
    ///
    /// - Throws: `AccountError`, `localIO`.
    package func prepare() throws(AccountError) {
        let (failure, path) = makeFolders(folder, mode: 0o700)
        guard failure == 0 else { throw .system("unable to make \(path)", failure) }
    }

    /// Keeps a session, in place of the one that has the name.
    ///
    /// - Parameter isNew: that there be none.
    /// - Throws: `AccountError`: `exists`, `localIO`.
    package func save(_ session: AccountSession, as name: String, isNew: Bool = false) throws(AccountError) {
        let path = try path(name)
        try prepare()
        if !isNew { sweep(name) }
        let temporary = "\(folder)/.\(name).\(UInt64.random(in: 0...UInt64.max))"
        do throws(SystemError) {
            let file = try AtomicFile(at: temporary)
            try file.write(SessionFile.bytes(session))
            try file.publish(as: path, isNew: isNew)
        } catch {
            if isNew, error.number == EEXIST {
                throw AccountError(.exists, "there is a session of the name '\(name)' already")
            }
            throw .system("unable to write \(path)", error.number)
        }
        try flush()
    }

    /// - Throws: `AccountError`: `notFound`, `localIO`.
    package func remove(_ name: String) throws(AccountError) {
        let path = try path(name)
        sweep(name)
        guard unlink(path) == 0 else {
            guard errno == ENOENT else { throw .system("unable to remove \(path)") }
            throw AccountError(.notFound, "there is no session of the name '\(name)'")
        }
        try flush()
    }

    /// The names of all sessions, sorted.
    package func names() -> [String] {
        (folderEntries(folder) ?? [])
            .filter { $0.hasSuffix(SessionStore.suffix) && !$0.hasPrefix(".") }
            .map { String($0.dropLast(SessionStore.suffix.count)) }.sorted()
    }

    /// Removes what processes left that were killed while they saved this session: it holds keys.
    private func sweep(_ name: String) {
        let start = ".\(name)."
        for entry in folderEntries(folder) ?? []
        where entry.hasPrefix(start) && UInt64(entry.dropFirst(start.count)) != nil {
            unlink("\(folder)/\(entry)")
        }
    }

    /// The folder's own entry has to be on the disk, too.
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
