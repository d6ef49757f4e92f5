import Glibc

/// Reads secrets and answers to questions from files. Each error names the file, and the secret by its kind.
package enum SecretFile {
    /// The most bytes that are read of a file.
    package static let maxBytes = 4096

    /// Opens a file for reading.
    ///
    /// - Parameters:
    ///   - what: the kind of secret, for errors.
    ///   - flags: flags of `open` in addition.
    /// - Returns: a descriptor, which the caller closes.
    /// - Throws: `ToolError` (78).
    package static func open(_ path: String, _ what: String, flags: Int32 = 0) throws(ToolError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | flags)
        guard descriptor >= 0 else { throw unreadable(path, what, errno) }
        return descriptor
    }

    /// Returns the beginning of a file.
    ///
    /// - Throws: `ToolError` (78).
    static func bytes(of path: String, _ what: String) throws(ToolError) -> [UInt8] {
        let descriptor = try open(path, what)
        defer { close(descriptor) }
        guard let bytes = readAll(descriptor, atMost: maxBytes) else { throw unreadable(path, what, errno) }
        return bytes
    }

    /// Returns the text before the first line end.
    package static func firstLine(of bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }

    /// The error of a file that cannot be read, with the system's error number.
    package static func unreadable(_ path: String, _ what: String, _ number: Int32) -> ToolError {
        ToolError(.configuration, "unable to read the \(what) from \(path): \(SystemError(number))")
    }

    /// The error of a file that holds nothing.
    package static func empty(_ path: String, _ what: String) -> ToolError {
        ToolError(.configuration, "\(path) holds no \(what)")
    }
}
