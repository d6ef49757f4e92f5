import Glibc

/// The whole of a text file that somebody named.
enum SmallText {
    /// - Throws: `AccountError`, `configuration`, with `what` in its words.
    static func read(_ path: String, _ what: String, atMost maxBytes: Int = 16 << 20) throws(AccountError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, what) }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while text.count <= maxBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, what) }
            if count == 0 { return text }
            text += buffer.prefix(count)
        }
        throw AccountError(.configuration, "\(path) is too long for \(what)")
    }

    private static func failure(_ path: String, _ what: String) -> AccountError {
        AccountError(.configuration, "unable to read \(what) from \(path): \(String(cString: strerror(errno)))")
    }
}
