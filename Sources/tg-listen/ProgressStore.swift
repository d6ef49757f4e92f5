import Glibc
import JSON
import Logging
import Queue
import Redis
import Stage
import System

/// Stores a listener's position: one line of text.
protocol ProgressStore: Sendable {
    /// Returns the position; nil when none was ever saved.
    func load() async throws -> String?
    /// Writes the position to a file of this machine, right after the output was written.
    func note(_ progress: String) throws
    /// Writes to the same file how many updates of the batch that the position names have been emitted.
    ///
    /// - Parameter revision: the revision of that position.
    func note(emitted count: Int, of revision: Int64) throws
    /// Returns the number that was noted last for a position; 0 if none was.
    func emitted(of revision: Int64) -> Int
    /// Stores the position, and returns when it is stored.
    func save(_ progress: String) async throws
    /// The key that holds the position, if it is stored in Redis.
    var redisKey: String? { get }
}

/// Stores a listener's position in a file.
protocol ProgressFile: ProgressStore {
    var path: String { get }
}

extension ProgressFile {
    var redisKey: String? { nil }

    func save(_ progress: String) {}
    func note(emitted count: Int, of revision: Int64) throws {}
    func emitted(of revision: Int64) -> Int { 0 }
}

/// Stores a listener's position in Redis, so that it may start on another machine, and in a file, in case it is killed between an update's
/// emission and Redis's answer.
///
/// A publication sets the key in the same step in which it fills queues, so a cluster must have it on the node of the queues.
struct RedisProgress: ProgressStore {
    private let runtime: Runtime
    private let key: String
    /// The name of the key until version 0.2.
    private let formerKey: String
    private let file: any ProgressFile
    private let newer: @Sendable (_ kept: String, _ noted: String) -> String
    var redisKey: String? { key }

    /// - Parameters:
    ///   - name: names the listener and its position: `42:offset`.
    ///   - newer: returns the further one of the positions in Redis and in the file.
    /// - Throws: when Redis cannot be reached.
    init(
        runtime: Runtime, _ name: String, file: any ProgressFile,
        newer: @escaping @Sendable (_ kept: String, _ noted: String) -> String
    ) async throws {
        (self.runtime, self.file, self.newer) = (runtime, file, newer)
        (key, formerKey) = ("tgpipe:listen:\(QueueName.hashTag):\(name)", "tgpipe:listen:\(name)")
        try await runtime.requireRedis()
    }

    func load() async throws -> String? {
        let value = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let former = try await redis.send("GET", .text(formerKey))
            let present = try await redis.send("GET", .text(key))
            guard let position = former.string else { return present }
            // Both are there after a version before 0.3 has run once more.
            let newest = present.string.map { newer($0, position) } ?? position
            _ = try await redis.send("SET", .text(key), .text(newest))
            _ = try await redis.send("DEL", .text(formerKey))
            return try await redis.send("GET", .text(key))
        }
        let noted = try await file.load()
        guard !value.isNull else {
            // Redis has lost its data, or is another one. The file may be behind, but Telegram no longer has the updates before it.
            if noted != nil { runtime.log.notice("Redis has no offset: continuing from \(file.path)") }
            return noted
        }
        guard let kept = value.string else {
            throw ToolError(.configuration, "the Redis key \(key) does not hold an offset: remove it to start afresh")
        }
        return noted.map { newer(kept, $0) } ?? kept
    }

    func note(_ progress: String) throws { try file.note(progress) }
    func note(emitted count: Int, of revision: Int64) throws { try file.note(emitted: count, of: revision) }
    func emitted(of revision: Int64) -> Int { file.emitted(of: revision) }

    func save(_ progress: String) async throws {
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .text(progress))
        }
    }
}

/// Stores a bot's offset, which is the id of its next update, in a file of one line.
///
/// One `pwrite` of fixed size overwrites the line in place. The space is allocated at the start, so that a full disk is reported before
/// anything is emitted. No fsync is needed, because Telegram keeps unconfirmed updates.
final class OffsetFile: ProgressFile {
    private static let width = 20
    private let descriptor: Int32
    let path: String

    /// The content before there is an offset: Telegram counts from 1.
    private static let none = "0"

    /// Opens or creates the file.
    ///
    /// - Throws: `ToolError` (74, also for a full disk; 75 when another tg-listen holds the file; 78 when it is damaged).
    init(path: String) throws {
        self.path = path
        descriptor = try openLocked(path)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 || write(OffsetFile.none) else {
            throw ToolError(.localIO, "unable to write the state file \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func load() throws -> String? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        guard text.hasSuffix("\n"), let offset = Int64(text.dropLast()) else {
            throw ToolError(
                .configuration, "the state file \(path) is damaged: it must hold one number; remove it to start afresh")
        }
        return "\(offset)" == OffsetFile.none ? nil : "\(offset)"
    }

    func note(_ progress: String) throws {
        guard write(progress) else {
            let reason = String(cString: strerror(errno))
            throw ToolError(
                .localIO,
                "unable to write the state file \(path): \(reason); the update before \(progress) will be emitted again"
            )
        }
    }

    private func write(_ digits: String) -> Bool {
        let line = String(repeating: "0", count: max(0, OffsetFile.width - digits.utf8.count)) + digits + "\n"
        return pwrite(descriptor, line, line.utf8.count, 0) == line.utf8.count
    }
}

/// Opens a state file that no other tg-listen has open, and creates a missing one.
func openLocked(_ path: String, lock: String? = nil) throws(ToolError) -> Int32 {
    let descriptor = open(lock ?? path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
        throw ToolError(.localIO, "unable to open the state file \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw ToolError(.tryAgain, "the state file \(path) is in use by another tg-listen")
    }
    return descriptor
}

/// Stores an account's state in a file, which is replaced as a whole: a kill leaves the old or the new state, never a mixture.
///
/// No fsync is needed, because Telegram keeps updates, and updates that the output has beyond the state are recognised.
final class StateFile: ProgressFile {
    private let lock: Int32
    let path: String

    /// The content before there is a state. An empty file has lost its state.
    private static let none = "{}"
    /// The most bytes that are read; a channel needs some dozens.
    private static let longest = 16 << 20
    /// The size of the count in the file of the lock: two numbers of at most 19 digits with their separators.
    private static let countBytes = 40

    /// Opens or creates the file.
    ///
    /// - Throws: `ToolError` (74, also for a full disk; 75 when another tg-listen holds the file).
    init(path: String) throws {
        self.path = path
        lock = try openLocked(path, lock: path + ".lock")
        // The space is allocated at the start, so that a full disk is reported before anything is emitted.
        guard lseek(lock, 0, SEEK_END) >= StateFile.countBytes || write(emitted: 0, of: 0) else {
            throw failure("write")
        }
        guard access(path, F_OK) != 0 else { return }
        try replace(StateFile.none)
    }

    deinit { close(lock) }

    func load() throws -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read") }
        var bytes = [UInt8](repeating: 0, count: min(Int(status.st_size), StateFile.longest))
        guard pread(descriptor, &bytes, bytes.count, 0) == bytes.count else { throw failure("read") }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasSuffix("\n") else {
            throw ToolError(
                .configuration,
                "the state file \(path) is damaged: it must hold one line of JSON; remove it to start afresh")
        }
        return text.dropLast() == StateFile.none ? nil : String(text.dropLast())
    }

    func note(_ progress: String) throws { try replace(progress) }

    /// One `pwrite` of fixed size overwrites the count in place, in the file of the lock: to replace the whole state for each update would
    /// take many times as long.
    func note(emitted count: Int, of revision: Int64) throws {
        guard write(emitted: count, of: revision) else { throw failure("write") }
    }

    private func write(emitted count: Int, of revision: Int64) -> Bool {
        let text = "\(revision) \(count)"
        let line = text + String(repeating: " ", count: max(0, StateFile.countBytes - 1 - text.utf8.count)) + "\n"
        return pwrite(lock, line, line.utf8.count, 0) == line.utf8.count
    }

    func emitted(of revision: Int64) -> Int {
        var bytes = [UInt8](repeating: 0, count: StateFile.countBytes)
        guard pread(lock, &bytes, bytes.count, 0) == bytes.count else { return 0 }
        let numbers = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map { Int64($0) }
        guard numbers.count == 2, numbers[0] == revision, let count = numbers[1] else { return 0 }
        return Int(clamping: max(0, count))
    }

    private func replace(_ text: String) throws {
        do throws(SystemError) {
            try AtomicFile.replace(path, with: Array("\(text)\n".utf8), durability: .process)
        } catch {
            throw failure("write", error.number)
        }
    }

    private func failure(_ verb: String, _ number: Int32 = errno) -> ToolError {
        ToolError(.localIO, "unable to \(verb) the state file \(path): \(SystemError(number))")
    }
}
