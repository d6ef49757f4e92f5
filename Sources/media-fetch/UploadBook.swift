import Blob
import Glibc
import JSON
import Logging
import Media
import Payloads
import Redis
import Stage
import Synchronization
import System

/// Keeps a book in Redis of the uploads that are going on, with a lease of the process that each belongs to, so that another
/// process removes what a dead one has left in the bucket.
///
/// Only what is in the book, or in the store's own place for uploads for a week, is ever removed.
struct UploadBook: Sendable {
    /// The time after which the lease of a dead process is over.
    private static let lease = Duration.seconds(60)
    /// The least time between the two looks that have to find an upload without an owner. A living owner renews its lease meanwhile, also one
    /// that has lost it because Redis was away.
    private static let suspicion = Duration.seconds(20)
    /// Nothing is made piece by piece for so long. What is older, and in no book, has lost its book.
    private static let longestLife = Duration.seconds(7 * 86_400)

    let runtime: Runtime
    let area: UploadArea
    /// The name of the store with its server. Each store has a book of its own.
    let store: String

    /// The uploads that this process could not remove, and when it tries again.
    private let failures = Failures()

    init(runtime: Runtime, area: UploadArea, store: String) {
        (self.runtime, self.area, self.store) = (runtime, area, store)
    }

    private final class Failures: Sendable {
        private let next = Mutex<[String: (pause: Duration, at: ContinuousClock.Instant)]>([:])

        func mayTry(_ name: String) -> Bool { next.withLock { $0[name].map { $0.at <= .now } ?? true } }

        func forget(_ name: String) { next.withLock { $0[name] = nil } }

        /// Doubles the pause, up to an hour.
        func add(_ name: String) {
            next.withLock { next in
                let pause = min(next[name].map { $0.pause * 2 } ?? .seconds(60), .seconds(3600))
                next[name] = (pause, .now + pause)
            }
        }
    }

    /// Says what there is to remove of an upload.
    struct Entry: Sendable {
        /// The number of the ownership of the process that makes the upload. An owner with a greater one has taken the work over; nil for
        /// a process that fetches for itself.
        var fence: Int64?
        /// The time at which the upload began, in seconds since 1970.
        var begunAt: Int64
        /// The id of the upload; nil if it was not known yet.
        var uploadID: String?
        /// The key and the id of the upload that copies the object to its key.
        var copy: (key: String, uploadID: String)?

        init(fence: Int64?) { (self.fence, begunAt) = (fence, Entry.now) }

        private static var now: Int64 { Int64(time(nil)) }

        var age: Duration { .seconds(max(0, Entry.now - begunAt)) }

        init(_ json: JSONObject) {
            fence = json["fence"]?.int
            begunAt = min(Entry.now, max(0, json["begun_at"]?.int ?? Entry.now))
            uploadID = json["upload_id"]?.string
            if let key = json["key"]?.string, let id = json["copy_id"]?.string { copy = (key, id) }
        }

        var json: JSONObject {
            [
                "upload_id": uploadID.map { .string($0) }, "key": copy.map { .string($0.key) },
                "copy_id": copy.map { .string($0.uploadID) }, "fence": fence.map { .integer($0) },
                "begun_at": .integer(begunAt),
            ]
        }
    }

    private var prefix: String { "tgpipe:{uploads:\(percentEncoded(store, keeping: ":/"))}:" }

    private var bookKey: RedisArgument { .text("\(prefix)book") }

    /// Holds the time of the first look that found no owner, for each upload, by the clock of Redis.
    private var suspectsKey: RedisArgument { .text("\(prefix)suspects") }

    private func ownerKey(_ name: String) -> RedisArgument {
        .text("\(prefix)owner:\(name)")
    }

    /// Returns a name for an upload, which tells the address that it is for.
    static func name(_ address: ContentAddress) -> String {
        "\(beginning(address))-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
    }

    private static func beginning(_ address: ContentAddress) -> String { String(address.hash.prefix(32)) }

    /// Runs work to which an upload with this name belongs, while the lease is renewed.
    ///
    /// - Parameter hasBegun: tells whether there is an upload yet.
    func holding<Value: Sendable>(
        _ name: String, while hasBegun: @escaping @Sendable () -> Bool,
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                while (try? await Task.sleep(for: UploadBook.lease / 4)) != nil { if hasBegun() { await renew(name) } }
                return nil
            }
            defer { group.cancelAll() }
            while let done = try await group.next() {
                if let done { return done }
            }
            throw CancellationError()
        }
    }

    private func renew(_ name: String) async {
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send(
                "SET", ownerKey(name), .text(Runtime.host), "PX", .integer(UploadBook.lease.milliseconds))
            try await redis.send("HDEL", suspectsKey, .text(name))
        }
    }

    /// Notes an upload, or what is new about it.
    ///
    /// - Returns: false if Redis cannot be reached, so that nobody would learn of it.
    func note(_ name: String, _ entry: Entry) async -> Bool {
        await runtime.redisIfThere { redis throws(RedisError) in
            let lease = UploadBook.lease.milliseconds
            try await redis.send("SET", ownerKey(name), .text(Runtime.host), "PX", .integer(lease))
            try await redis.send("HSET", bookKey, .text(name), .bytes(JSON.object(entry.json).bytes))
            return true
        } ?? false
    }

    /// Notes that nothing is left of an upload.
    func remove(_ name: String) async {
        // The task may be cancelled, which must not keep the entry.
        await Task {
            _ = await runtime.redisIfThere { redis throws(RedisError) in
                try await redis.send("HDEL", bookKey, .text(name))
                try await redis.send("HDEL", suspectsKey, .text(name))
                try await redis.send("DEL", ownerKey(name))
            }
        }.value
    }

    /// Removes the uploads for an address whose processes have lost the right to it, which is this process's now.
    ///
    /// - Parameter fence: the number of this process's ownership. Uploads of processes that fetch for themselves are not concerned.
    func takeOver(_ address: ContentAddress, fence: Int64) async {
        for (name, entry) in await entries() ?? [] where name.hasPrefix("\(UploadBook.beginning(address))-") {
            if let other = entry.fence, other < fence { await discard(name, entry) }
        }
    }

    /// Removes the uploads of dead processes: what two looks, of any processes, have found without an owner.
    func sweep() async {
        for (name, entry) in await entries() ?? [] where failures.mayTry(name) {
            if await isAbandoned(name) { await discard(name, entry) }
        }
    }

    private func isAbandoned(_ name: String) async -> Bool {
        await runtime.redisIfThere { redis throws(RedisError) in
            guard try await redis.send("EXISTS", ownerKey(name)).int == 0 else {
                try await redis.send("HDEL", suspectsKey, .text(name))
                return false
            }
            guard let now = try await redis.send("TIME").array?.first?.string.flatMap({ Int64($0) }) else {
                return false
            }
            try await redis.send("HSETNX", suspectsKey, .text(name), .integer(now))
            let first = try await redis.send("HGET", suspectsKey, .text(name)).string.flatMap { Int64($0) } ?? now
            return .seconds(max(0, now.subtractingReportingOverflow(first).partialValue)) >= UploadBook.suspicion
        } ?? false
    }

    /// Removes what has been in the store's place for uploads for a week, and is in no book, because Redis has lost it.
    func sweepForgotten() async {
        do throws(BlobError) {
            let old = try await area.contents().filter { $0.age ?? .zero > UploadBook.longestLife }
            guard !old.isEmpty else { return }
            // Without the book, it is not known what is forgotten.
            guard let known = await entries().map({ Set($0.map(\.name)) }) else { return }
            for content in old where !known.contains(content.name) {
                runtime.log.notice("removing an upload that was forgotten", metadata: ["upload": "\(content.name)"])
                try await area.remove(content.name, uploadID: content.uploadID)
            }
        } catch {
            // A bucket that does not exist yet has no uploads.
            guard error.code != .noSuchBucket else { return }
            runtime.log.info("unable to look for forgotten uploads: \(error.message)")
        }
    }

    /// Returns what is in the book; nil if Redis cannot be reached.
    private func entries() async -> [(name: String, entry: Entry)]? {
        let pairs = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("HGETALL", bookKey).array ?? []
        }
        guard let pairs else { return nil }
        let texts = pairs.map { $0.string ?? "" }
        return stride(from: 0, to: texts.count - 1, by: 2).map { index in
            (texts[index], Entry((try? JSON(parsing: texts[index + 1]))?.object ?? [:]))
        }
    }

    private func discard(_ name: String, _ entry: Entry) async {
        runtime.log.notice("removing the upload of a process that is gone", metadata: ["upload": "\(name)"])
        do throws(BlobError) {
            if let copy = entry.copy { try await area.abortCopy(to: copy.key, uploadID: copy.uploadID) }
            try await area.remove(name, uploadID: entry.uploadID)
            failures.forget(name)
            await remove(name)
        } catch {
            failures.add(name)
            // There is no upload of ours, or nobody can remove it: it would be tried for ever.
            let isGivenUp = [.invalid, .noSuchBucket].contains(error.code) || entry.age > UploadBook.longestLife
            if isGivenUp { await remove(name) }
            let id = entry.uploadID.map { " with the id \($0)" } ?? ""
            let rights = error.code == .refused ? ": the key needs s3:AbortMultipartUpload and s3:DeleteObject" : ""
            let end = isGivenUp ? "; it will not be tried again" : ""
            runtime.log.warning(
                "unable to remove the upload .tgpipe/uploads/\(name)\(id): \(error.message)\(rights)\(end)")
        }
    }
}
