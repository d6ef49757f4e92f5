import Blob
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
    /// The time after which another process may remove the upload of a dead one.
    private static let lease = Duration.seconds(60)
    /// Nothing is made piece by piece for so long. What is older, and in no book, has lost its book.
    private static let longestLife = Duration.seconds(7 * 86_400)

    let runtime: Runtime
    let area: UploadArea
    /// The name of the store, which has a book of its own.
    let store: String

    /// Says what there is to remove of an upload.
    struct Entry: Sendable {
        /// The id of the upload; nil if it was not known yet.
        var uploadID: String?
        /// The key and the id of the upload that copies the object to its key.
        var copy: (key: String, uploadID: String)?

        init() {}

        init(_ json: JSONObject) {
            uploadID = json["upload_id"]?.string
            if let key = json["key"]?.string, let id = json["copy_id"]?.string { copy = (key, id) }
        }

        var json: JSONObject {
            [
                "upload_id": uploadID.map { .string($0) }, "key": copy.map { .string($0.key) },
                "copy_id": copy.map { .string($0.uploadID) },
            ]
        }
    }

    private var prefix: String { "tgpipe:{uploads:\(percentEncoded(store, keeping: ":/"))}:" }

    private var bookKey: RedisArgument { .text("\(prefix)book") }

    private func ownerKey(_ name: String) -> RedisArgument {
        .text("\(prefix)owner:\(name)")
    }

    /// Returns a name for an upload, which tells the address that it is for.
    static func name(_ address: ContentAddress) -> String {
        "\(beginning(address))-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
    }

    private static func beginning(_ address: ContentAddress) -> String { String(address.hash.prefix(32)) }

    /// Runs work to which an upload with this name belongs, while the lease is renewed.
    func holding<Value: Sendable>(
        _ name: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                repeat { await renew(name) } while (try? await Task.sleep(for: UploadBook.lease / 4)) != nil
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
                try await redis.send("DEL", ownerKey(name))
            }
        }.value
    }

    /// Removes the uploads for an address whose processes have lost the right to it, which is this process's now.
    func takeOver(_ address: ContentAddress) async {
        for (name, entry) in await entries() where name.hasPrefix("\(UploadBook.beginning(address))-") {
            await discard(name, entry)
        }
    }

    /// Removes the uploads of dead processes.
    func sweep() async {
        for (name, entry) in await entries() {
            let isOwned = await runtime.redisIfThere { redis throws(RedisError) in
                try await redis.send("EXISTS", ownerKey(name)).int != 0
            }
            if isOwned == false { await discard(name, entry) }
        }
    }

    /// Removes what has been in the store's place for uploads for a week, and is in no book, because Redis has lost it.
    func sweepForgotten() async {
        do throws(BlobError) {
            let old = try await area.contents().filter { $0.age ?? .zero > UploadBook.longestLife }
            guard !old.isEmpty else { return }
            let known = Set(await entries().map(\.name))
            for content in old where !known.contains(content.name) {
                runtime.log.notice("removing an upload that was forgotten", metadata: ["upload": "\(content.name)"])
                _ = try await area.remove(content.name, uploadID: content.uploadID)
            }
        } catch {
            // A bucket that does not exist yet has no uploads.
            guard error.code != .noSuchBucket else { return }
            runtime.log.info("unable to look for forgotten uploads: \(error.message)")
        }
    }

    private func entries() async -> [(name: String, entry: Entry)] {
        let pairs = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("HGETALL", bookKey).array ?? []
        }
        let texts = (pairs ?? []).map { $0.string ?? "" }
        return stride(from: 0, to: texts.count - 1, by: 2).map { index in
            (texts[index], Entry((try? JSON(parsing: texts[index + 1]))?.object ?? [:]))
        }
    }

    private func discard(_ name: String, _ entry: Entry) async {
        runtime.log.notice("removing the upload of a process that is gone", metadata: ["upload": "\(name)"])
        do throws(BlobError) {
            var isGone = true
            if let copy = entry.copy { isGone = await area.abortCopy(to: copy.key, uploadID: copy.uploadID) }
            isGone = try await area.remove(name, uploadID: entry.uploadID) && isGone
            if isGone { await remove(name) }
        } catch {
            // There is no upload of ours: it would be tried for ever.
            if [.invalid, .noSuchBucket].contains(error.code) { await remove(name) }
            runtime.log.warning("unable to remove an upload: \(error.message)")
        }
    }
}
