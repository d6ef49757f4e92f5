import Crypto
import Glibc
import JSON
import System

/// An event that the database refuses.
struct FailedEvent {
    let key: MessageKey
    /// The event to the byte, without its line feed.
    let line: [UInt8]
    let reason: String

    func save(in database: any ArchiveDatabase) throws {
        try database.run(
            "INSERT INTO failures (id, chat_id, message_id, owner_id, line, reason, failed_at) "
                + "VALUES ($1, $2, $3, $4, $5, $6, \(database.dialect.time("$7"))) ON CONFLICT DO NOTHING",
            [
                .text(SHA256.hexDigest(line)), .integer(key.chatID), .integer(key.messageID), .integer(key.ownerID),
                .blob(line), .text(reason.storable),
                .integer(Timestamp.now.microseconds),
            ])
    }
}

/// The file to which events are appended that the database refuses, in case the database itself is lost.
struct FailureFile {
    let path: String

    /// Appends a line, and returns once it is on the disk.
    ///
    /// - Throws: `ToolError` (74).
    func append(_ line: [UInt8]) throws {
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try makeDirectory(String(path[..<slash]), mode: 0o700)
        }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ToolError.localIO("unable to open \(path)") }
        defer { close(descriptor) }
        var rest = (line + [UInt8(ascii: "\n")])[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw ToolError.localIO("unable to write to \(path)") }
            rest = rest.dropFirst(max(0, count))
        }
        guard fsync(descriptor) == 0 else { throw ToolError.localIO("unable to write \(path) to the disk") }
    }
}

extension UnsafeRawBufferPointer {
    /// Is true if the JSON text has `\u0000`, which `jsonb` refuses. An escaped backslash before it is no reason to miss it.
    var hasEscapedNUL: Bool {
        guard let baseAddress else { return false }
        var rest = 0
        while count - rest >= 6, let found = memchr(baseAddress + rest, 0x5C, count - rest - 5) {
            if memcmp(found, "\\u0000", 6) == 0 { return true }
            rest = UnsafeRawPointer(found) - baseAddress + 1
        }
        return false
    }
}
