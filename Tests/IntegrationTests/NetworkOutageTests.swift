import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs media-fetch on a machine that has no network at first.
@Suite(.timeLimit(.minutes(2))) struct NetworkOutageTests {
    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "TestSupport/without_network.py").path(percentEncoded: false)

    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private func fetched() throws -> Int {
        try redis.cli("XRANGE", "tgpipe:{queues}:out:stream", "-", "+").split(separator: "\n")
            .count { $0.contains("\"events.media.fetched\"") }
    }

    @Test func `media-fetch waits for the network, and no attempt is used up`() async throws {
        let environment = ["TGPIPE_REDIS": redis.address]
        let pusher = try ToolRun("ev-queue", ["push", "in"], environment: environment, folder: folder)
        for number in 0..<3 {
            let command = Envelope(
                type: "commands.media.video_download",
                payload: ["url": .string("http://192.0.2.10:8080/\(number).bin")],
                meta: ["origin": ["chat_id": 1, "message_id": 2, "chat_type": "private"]])
            pusher.send(command.line)
        }
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
        // media-fetch itself tries a download again for some seconds.
        let program = try SpawnedProgram([
            "env", "TGPIPE_REDIS=\(redis.address)", "TGPIPE_STATE=\(folder("state"))", "unshare", "-rnm",
            "\(PythonTools.binFolder())/python", "-B", Self.script, "15", folder("log"),
            ToolRun.path(of: "media-fetch"), "--allow-private", "--store", "file:\(folder("store"))", "--from",
            "queue:in",
            "--to", "queue:out", "--max-attempts", "1", "--min-free", "1K",
        ])
        #expect(try await eventually { try fetched() == 3 })
        kill(program.processIdentifier, SIGTERM)
        #expect(program.wait() == 0)
        let log = try String(contentsOfFile: folder("log"), encoding: .utf8)
        #expect(log.components(separatedBy: "the network is away").count == 2, "\(log)")
        #expect(log.components(separatedBy: "the network answers again").count == 2, "\(log)")
        #expect(try redis.cli("EXISTS", "tgpipe:{queues}:in:dead") == "0")
    }
}
