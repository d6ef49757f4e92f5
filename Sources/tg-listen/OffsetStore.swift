import Blocking
import Envelope
import Glibc
import Redis
import Stage
import Synchronization

/// Where the next update id is kept between runs.
protocol OffsetStore: Sendable {
    /// nil: nothing was ever saved.
    func load() async throws -> Int64?
    func save(_ offset: Int64) async throws
}

struct RedisOffset: OffsetStore {
    private let runtime: Runtime
    private let key: String

    init(runtime: Runtime, botID: Int64) async throws {
        self.runtime = runtime
        key = "tgpipe:listen:\(botID):offset"
        try await runtime.requireRedis()
    }

    func load() async throws -> Int64? {
        let value = try await runtime.patiently { redis throws(RedisError) in try await redis.send("GET", .text(key)) }
        guard !value.isNull else { return nil }
        guard let offset = value.int else { throw StageError(.configuration, "the Redis key \(key) holds no offset") }
        return offset
    }

    func save(_ offset: Int64) async throws {
        _ = try await runtime.patiently { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .integer(offset))
        }
    }
}

/// A file of one line. It is overwritten in place by one `write` of fixed size, so that the moment between an update's emission and the saved offset,
/// in which a SIGKILL would repeat that update, is a few microseconds. It needs no fsync: Telegram itself keeps what is not confirmed.
final class FileOffset: OffsetStore {
    private static let width = 20
    private let descriptor: Int32
    private let path: String

    /// - Throws: `StageError` (74; 78 when another tg-listen holds the file or it is damaged).
    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StageError(.localIO, "unable to open the state file \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw StageError(.configuration, "the state file \(path) is in use by another tg-listen")
        }
    }

    deinit { close(descriptor) }

    func load() throws -> Int64? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count != 0 else { return nil }
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        guard text.hasSuffix("\n"), let offset = Int64(text.dropLast()) else {
            throw StageError(.configuration, "the state file \(path) is damaged: it should hold one number")
        }
        return offset
    }

    func save(_ offset: Int64) throws {
        let digits = String(offset)
        let line = String(repeating: "0", count: max(0, FileOffset.width - digits.count)) + digits + "\n"
        guard pwrite(descriptor, line, line.utf8.count, 0) == line.utf8.count else {
            throw StageError(.localIO, "unable to write the state file \(path): \(String(cString: strerror(errno)))")
        }
    }
}
