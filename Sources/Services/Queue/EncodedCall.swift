import Redis

/// Represents one run of a script, with most of its arguments encoded beforehand, since they may be many.
struct EncodedCall {
    var keys: [String]
    var arguments: [RedisArgument]
    var encoded: [UInt8] = []
    var encodedCount = 0
}

extension Redis {
    func run(_ script: RedisScript, _ call: EncodedCall) async throws(RedisError) -> RedisValue {
        let replies = try await run(script, count: 1, timeout: nil) { _, hash, batch in
            batch.begin(arguments: 3 + call.keys.count + call.arguments.count + call.encodedCount)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(call.keys.count))
            for key in call.keys { batch.add(key) }
            for argument in call.arguments { batch.add(argument) }
            batch.addEncoded(call.encoded)
        }
        return try checked(replies[0])
    }
}

extension CommandBatch {
    /// Adds lines, each behind the number of its output, from 1.
    mutating func add(lines: [QueueLine]) {
        for line in lines {
            add(Int64(line.output + 1))
            add(line.bytes)
        }
    }
}
