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
    /// Notes the offset down on this machine; called in the same breath as the output's write.
    func note(_ offset: Int64) throws
    /// Returns when the offset is where it is kept.
    func save(_ offset: Int64) async throws
    /// The key that holds it, when it is kept in Redis.
    var redisKey: String? { get }
}

/// In Redis, so that a listener may start on another machine; and in a file beside, for the moment in which a kill would come between an
/// update's emission and Redis's answer.
struct RedisOffset: OffsetStore {
    private let runtime: Runtime
    private let key: String
    private let file: FileOffset
    var redisKey: String? { key }

    init(runtime: Runtime, botID: Int64) async throws {
        self.runtime = runtime
        key = "tgpipe:listen:\(botID):offset"
        file = try FileOffset(path: runtime.directory("listen") + "/\(botID).offset")
        try await runtime.requireRedis()
    }

    func load() async throws -> Int64? {
        let value = try await runtime.patiently { redis throws(RedisError) in try await redis.send("GET", .text(key)) }
        let noted = try file.load()
        guard !value.isNull else {
            // A Redis that lost its data, or another one. At worst the file is behind, and Telegram has forgotten what is before.
            if noted != nil { runtime.log.notice("Redis has no offset: going on from \(file.path)") }
            return noted
        }
        guard let offset = value.int else { throw StageError(.configuration, "the Redis key \(key) holds no offset") }
        // Further ahead, it is from before Telegram began to count anew.
        guard let noted, (offset..<offset + Listener.replayWindow).contains(noted) else { return offset }
        return noted
    }

    func note(_ offset: Int64) throws { try file.note(offset) }

    func save(_ offset: Int64) async throws {
        _ = try await runtime.patiently { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .integer(offset))
        }
    }
}

/// A file of one line, overwritten in place by one `pwrite` of fixed size, for which there is room from the start on: a full disk is
/// told before anything is emitted. It needs no fsync: Telegram itself keeps what is not confirmed.
final class FileOffset: OffsetStore {
    private static let width = 20
    var redisKey: String? { nil }
    private let descriptor: Int32
    let path: String

    /// What the file holds before there is an offset: Telegram counts from 1.
    private static let none: Int64 = 0

    /// - Throws: `StageError` (74, also for a full disk; 78 when another tg-listen holds the file or it is damaged).
    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StageError(.localIO, "unable to open the state file \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw StageError(.configuration, "the state file \(path) is in use by another tg-listen")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 || write(FileOffset.none) else {
            throw StageError(.localIO, "unable to write the state file \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func load() throws -> Int64? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        guard text.hasSuffix("\n"), let offset = Int64(text.dropLast()) else {
            throw StageError(.configuration, "the state file \(path) is damaged: it should hold one number")
        }
        return offset == FileOffset.none ? nil : offset
    }

    func save(_ offset: Int64) {}

    func note(_ offset: Int64) throws {
        guard write(offset) else {
            let reason = String(cString: strerror(errno))
            throw StageError(
                .localIO,
                "unable to write the state file \(path): \(reason); update \(offset - 1) will be emitted again")
        }
    }

    private func write(_ offset: Int64) -> Bool {
        let digits = String(offset)
        let line = String(repeating: "0", count: max(0, FileOffset.width - digits.count)) + digits + "\n"
        return pwrite(descriptor, line, line.utf8.count, 0) == line.utf8.count
    }
}
