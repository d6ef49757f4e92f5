import Envelope
import Foundation
import JSON
import TestSupport

/// Provides a Redis with an append-only file, and runs tools on its queues.
struct QueueFixture {
    let redis: RedisServer
    let folder: TemporaryFolder

    init() throws {
        redis = try RedisServer(configuration: RedisServer.durable)
        folder = try TemporaryFolder()
    }

    var environment: [String: String] { ["TGPIPE_REDIS": redis.address, "TGPIPE_LOG": "json:info"] }

    func start(_ tool: String, _ arguments: [String]) throws -> ToolRun {
        try ToolRun(tool, arguments, environment: environment)
    }

    @discardableResult
    func run(_ tool: String, _ arguments: String..., input: String = "") async throws -> ToolRun.Result {
        try await ToolRun.run(tool, arguments, input: input, environment: environment)
    }

    /// Returns envelopes with consecutive numbers.
    static func events(_ numbers: Range<Int>, payload: String = "") -> String {
        numbers.map { number in
            let tail = String(repeating: "0", count: 12 - String(number).count) + String(number)
            return #"{"id":"0191e0a0-0000-7000-8000-\#(tail)","type":"commands.test.job","version":1,"#
                + #""correlation_id":"0191e0a0-0000-7000-9000-\#(tail)","timestamp":"2026-01-01T00:00:00.000000Z","#
                + #""payload":{"number":\#(number)\#(payload)},"meta":{}}"#
        }.joined(separator: "\n")
    }

    /// The numbers of all events that a queue holds, in their order.
    func numbers(in queue: String) async throws -> [Int64] {
        try await run("ev-queue", "peek", queue, "-n", "0").envelopes().compactMap { $0.payload["number"]?.int }
    }

    func stats(_ queue: String) async throws -> JSON {
        try JSON(parsing: try await run("ev-queue", "stats", queue).lines[0])
    }

    /// A script that tests run as a worker's program.
    func program(_ text: String) throws -> String {
        let path = folder("program-\(UUID().uuidString)")
        try "#!/bin/sh\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }
}
