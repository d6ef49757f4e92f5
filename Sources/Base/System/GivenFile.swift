import Glibc

/// A file that the user named, open for reading. What has no size or cannot be read twice (a pipe, a FIFO, a device) is copied to a temporary
/// file without a name, so that its size is known and it can be read again.
package final class GivenFile: Sendable {
    /// A path under which this process can open the file as long as this object exists.
    package let path: String
    /// The file's own name; nil if it has none, as the output of a program.
    package let name: String?
    private let descriptor: Int32

    /// Opens the file; for a pipe, waits for its end. Blocks.
    ///
    /// - Throws: `ToolError` (74), with the system's reason.
    package init(_ given: String) throws(ToolError) {
        // Opening /dev/stdin anew would fail for a socket, and begin a file again of which a part was read.
        let isInput = given == "/dev/stdin"
        let opened = isInput ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(given, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw ToolError.localIO("unable to read \(given)") }
        var status = stat()
        guard fstat(opened, &status) == 0 else {
            defer { close(opened) }
            throw ToolError.localIO("unable to read \(given)")
        }
        switch status.st_mode & S_IFMT {
        // The kernel's own files have contents although their size is 0.
        case S_IFREG where status.st_size > 0 && (!isInput || lseek(opened, 0, SEEK_CUR) == 0):
            (descriptor, path) = (opened, isInput ? "/proc/self/fd/\(opened)" : given)
            name = GivenFile.name(of: path)
        case S_IFDIR:
            close(opened)
            throw ToolError(.localIO, "unable to read \(given): it is a folder")
        default:
            defer { close(opened) }
            descriptor = try GivenFile.copy(of: opened, given)
            path = "/proc/self/fd/\(descriptor)"
            name = status.st_mode & S_IFMT == S_IFREG ? GivenFile.name(of: given) : nil
        }
    }

    /// Makes a temporary file without a name that holds these bytes. Blocks.
    ///
    /// - Throws: `ToolError` (74), with the system's reason.
    package init(contents: [UInt8], name: String) throws(ToolError) {
        let (target, folder) = try GivenFile.temporary()
        descriptor = target
        (path, self.name) = ("/proc/self/fd/\(target)", name)
        let failure = contents.withUnsafeBytes { writeAll(target, $0) }
        guard failure == 0 else { throw ToolError.localIO("unable to write to \(folder)", errno: failure) }
    }

    deinit { close(descriptor) }

    /// Returns the last part of a path. A path to an open descriptor stands for the file that is open there.
    private static func name(of path: String) -> String? {
        guard path.hasPrefix("/proc/self/fd/") || path.hasPrefix("/dev/fd/") else { return lastPathComponent(path) }
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), bytes.count) } ?? -1
        }
        let target = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        return target.hasPrefix("/") && !target.hasSuffix(" (deleted)") ? lastPathComponent(target) : nil
    }

    private static func temporary() throws(ToolError) -> (descriptor: Int32, folder: String) {
        let folder = Settings.environment("TMPDIR") ?? "/tmp"
        let path = "\(folder)/tgpipe-\(UInt64.random(in: 0...UInt64.max))"
        let target = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw ToolError.localIO("unable to make a temporary file in \(folder)") }
        unlink(path)
        return (target, folder)
    }

    private static func copy(of source: Int32, _ given: String) throws(ToolError) -> Int32 {
        let (target, folder) = try temporary()
        do throws(ToolError) {
            try copyAll(from: source, to: target, given, folder)
        } catch {
            close(target)
            throw error
        }
        return target
    }
}

/// Runs `body` with a path under which other processes can open a file, too. A file that only this process has open is copied for that
/// time.
///
/// - Throws: `ToolError` (74) if it cannot be copied, and the errors of `body`.
package func withSharedPath<Result: Sendable>(
    to path: String, _ body: @Sendable (String) async throws -> Result
) async throws -> Result {
    guard path.hasPrefix("/proc/self/fd/") else { return try await body(path) }
    let folder = Settings.environment("TMPDIR") ?? "/tmp"
    let copy = "\(folder)/tgpipe-\(UInt64.random(in: 0...UInt64.max))"
    defer { unlink(copy) }
    try await BlockingThread.once { () throws(ToolError) in
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw ToolError.localIO("unable to read \(path)") }
        defer { close(source) }
        let target = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw ToolError.localIO("unable to make a temporary file in \(folder)") }
        defer { close(target) }
        try copyAll(from: source, to: target, path, folder)
    }
    return try await body(copy)
}

/// Copies all that follows in a file to another.
private func copyAll(from source: Int32, to target: Int32, _ given: String, _ folder: String) throws(ToolError) {
    // Telegram accepts no larger file, and a device such as /dev/zero never ends.
    var room = 4 << 30
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        guard room > 0 else { throw ToolError(.localIO, "\(given) has more than 4 GB, which Telegram does not accept") }
        let count = read(source, &block, block.count)
        if count == 0 { return }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw ToolError.localIO("unable to read \(given)") }
        let failure = block.withUnsafeBytes { writeAll(target, UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        guard failure == 0 else {
            throw ToolError.localIO("unable to write a copy of \(given) to \(folder)", errno: failure)
        }
        room -= count
    }
}

/// Returns the arguments of this process as text.
///
/// A file's name may be any bytes, and a `String` only UTF-8. An argument that is not UTF-8 and names a file, or is an option with
/// such a value (`--file=NAME`), becomes a path to a descriptor of that file, which stays open until the process ends.
/// - Throws: `ToolError` (64) for another argument that is not UTF-8: it would silently become another text.
package func textArguments(_ count: Int32, _ arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>) throws(ToolError)
    -> [String]
{
    var texts: [String] = []
    for index in 0..<Int(count) {
        guard let argument = arguments[index] else { break }
        texts.append(try text(of: argument))
    }
    return texts
}

private func text(of argument: UnsafeMutablePointer<CChar>) throws(ToolError) -> String {
    if let text = String(validatingCString: argument) { return text }
    var option = ""
    var value = argument
    if argument[0] == CChar(bitPattern: UInt8(ascii: "-")), let sign = strchr(argument, Int32(UInt8(ascii: "="))) {
        let length = sign - argument + 1
        option = UnsafeBufferPointer(start: argument, count: length).withMemoryRebound(to: UInt8.self) {
            String(decoding: $0, as: UTF8.self)
        }
        value = sign + 1
    }
    let descriptor = open(value, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
        throw ToolError(
            .usage,
            "the argument \"\(String(cString: argument).printable)\" is not UTF-8, and does not name an existing file")
    }
    return "\(option)/proc/self/fd/\(descriptor)"
}
