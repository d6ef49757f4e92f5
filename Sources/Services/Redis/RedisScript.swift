import Synchronization

/// Represents a Lua script that the server runs in one atomic step.
package final class RedisScript: Sendable {
    package let source: String
    private let knownHash = Mutex<String?>(nil)

    package init(_ source: String) { self.source = source }

    /// The server's name for the script; nil until a server has loaded it.
    var hash: String? {
        get { knownHash.withLock { $0 } }
        set { knownHash.withLock { $0 = newValue } }
    }
}

/// Represents one run of a script in a batch.
package struct ScriptCall: Sendable {
    package var keys: [String]
    package var arguments: [RedisArgument]

    package init(keys: [String], arguments: [RedisArgument] = []) {
        self.keys = keys
        self.arguments = arguments
    }
}

extension Redis {
    /// Runs a script, and loads it into the server first if needed.
    package func run(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        let call = ScriptCall(keys: keys, arguments: arguments)
        return try checked(try await run(script, [call], timeout: timeout)[0])
    }

    /// Runs a script several times without waiting in between; returns the replies in order, error replies as `.error`.
    package func run(
        _ script: RedisScript, _ calls: [ScriptCall], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        try await run(script, count: calls.count, timeout: timeout) { index, hash, batch in
            let call = calls[index]
            batch.begin(arguments: 3 + call.keys.count + call.arguments.count)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(call.keys.count))
            for key in call.keys { batch.add(key) }
            for argument in call.arguments { batch.add(argument) }
        }
    }

    /// Runs a script `count` times; `encode` adds the EVALSHA command of one index.
    ///
    /// Runs that failed because the server did not have the script did nothing, and are repeated.
    package func run(
        _ script: RedisScript, count: Int, timeout: Duration?,
        encode: @escaping @Sendable (_ index: Int, _ hash: String, inout CommandBatch) -> Void
    ) async throws(RedisError) -> [RedisValue] {
        try await start(script, count: count, timeout: timeout, encode: encode).replies()
    }

    /// Hands over runs of a script, as `run` does, without waiting for their replies; waits only while the script is first loaded.
    func start(
        _ script: RedisScript, count: Int, timeout: Duration?,
        encode: @escaping @Sendable (_ index: Int, _ hash: String, inout CommandBatch) -> Void
    ) async throws(RedisError) -> StartedRuns {
        let hash = count > 0 ? try await loadedHash(of: script) : ""
        return StartedRuns(
            redis: self, script: script, timeout: timeout, encode: encode,
            sent: start(Redis.batch(of: 0..<count, hash, encode), timeout: timeout))
    }

    /// Represents runs of a script that the server has been asked for.
    struct StartedRuns: Sendable {
        fileprivate let redis: Redis
        fileprivate let script: RedisScript
        fileprivate let timeout: Duration?
        fileprivate let encode: @Sendable (Int, String, inout CommandBatch) -> Void
        fileprivate let sent: Started

        /// Waits for the replies, in order, error replies as `.error`.
        func replies() async throws(RedisError) -> [RedisValue] {
            var replies = try await sent.replies()
            let missed = replies.indices.filter { replies[$0].isNoScript }
            guard !missed.isEmpty else { return replies }
            let hash = try await redis.load(script)
            let repeated = try await redis.exchange(Redis.batch(of: missed, hash, encode), timeout: timeout)
            for (index, reply) in zip(missed, repeated) { replies[index] = reply }
            return replies
        }
    }

    private static func batch(
        of indices: some Sequence<Int>, _ hash: String, _ encode: (Int, String, inout CommandBatch) -> Void
    ) -> CommandBatch {
        var batch = CommandBatch()
        for index in indices { encode(index, hash, &batch) }
        return batch
    }

    private func loadedHash(of script: RedisScript) async throws(RedisError) -> String {
        if let hash = script.hash { return hash }
        return try await load(script)
    }

    private func load(_ script: RedisScript) async throws(RedisError) -> String {
        guard let hash = try await sendEverywhere("SCRIPT", "LOAD", .text(script.source)).first?.string else {
            throw RedisError(.protocolError, "Redis at \(address) did not name the script that it loaded")
        }
        script.hash = hash
        return hash
    }
}

extension RedisValue {
    fileprivate var isNoScript: Bool {
        if case .error(let text) = self { text.hasPrefix("NOSCRIPT") } else { false }
    }
}

/// Makes hash tags: the part of a key, in braces, by which a Redis cluster chooses the key's node.
enum HashTag {
    /// Returns a text with `}`, `%` and line feeds percent-encoded: the first `}` would end the tag, and lists of keys have a key on each
    /// line.
    static func escaped(_ text: String) -> String {
        var text = text
        return text.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            var escaped: [UInt8] = []
            escape(bytes, into: &escaped)
            return String(decoding: escaped, as: UTF8.self)
        }
    }

    /// Returns whether a text stays as it is.
    static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
        text.allSatisfy { $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "\n") }
    }

    /// Appends a text in the form of `escaped`.
    static func escape(_ text: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "}"): output += "%7D".utf8
            case UInt8(ascii: "%"): output += "%25".utf8
            case UInt8(ascii: "\n"): output += "%0A".utf8
            default: output.append(byte)
            }
        }
    }
}
