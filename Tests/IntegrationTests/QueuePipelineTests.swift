import Foundation
import TestSupport
import Testing

/// `examples/media-bot-queues.sh` as it would run on three machines: one that listens and speaks, two that fetch.
@Suite(.serialized, .timeLimit(.minutes(4))) struct QueuePipelineTests {
    private static let users = (0..<8).map { BotEmulator.User(100 + Int64($0), "User \($0)", username: "user\($0)") }
    private static let sources = 5

    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        telegram = try BotEmulator()
        // As from other machines.
        redis = try RedisServer(configuration: RedisServer.durable, tcp: true)
        let folder = try TemporaryFolder()
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=160x120 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        let copies = (0..<Self.sources).map { "cp \(folder("clip.mp4")) \(folder("www/\($0).mp4"))" }
        let script = "\(clip) \(folder("clip.mp4")) && \(copies.joined(separator: " && "))"
        #expect(try SpawnedProgram(["sh", "-c", script]).wait() == 0)
        site = try WebSite(root: folder("www"))
    }

    private func host(_ name: String, _ role: String, _ settings: [String: String] = [:]) throws -> SpawnedProgram {
        var environment = telegram.environment
        environment["TGPIPE_HOST"] = name
        environment["TGPIPE_STATE"] = folder(name)
        environment["TGPIPE_REDIS"] = "redis://127.0.0.1:\(redis.port ?? 0)"
        environment["TGPIPE_STORE"] = "file:\(folder("store"))"
        environment["TGPIPE_BIN"] = ToolRun.path(of: "").dropLast().description
        environment["TG_ADMIN_ID"] = Self.users.map { "\($0.id)" }.joined(separator: ",")
        environment["TGPIPE_LOG"] = "json:info"
        environment["MEDIA_FETCH_OPTIONS"] = "--allow-private --lease 2s --max-attempts 100"
        environment["BLOB_PUT_OPTIONS"] = "--lease 2s --max-attempts 100"
        environment["TG_SEND_OPTIONS"] = "--no-pacing"
        environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        environment["HOME"] = folder.path
        environment.merge(settings) { $1 }
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let program = "\(testFolder)/../examples/media-bot-queues.sh"
        return try SpawnedProgram(["sh", "-c", "exec env \(variables) \(program) \(role) 2>>\(folder("log.\(name)"))"])
    }

    private func kill(_ stage: String, of host: String) {
        guard let text = try? String(contentsOfFile: folder("\(host)/run-queues/\(stage).pid"), encoding: .utf8),
            let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return }
        Foundation.kill(pid, SIGKILL)
    }

    @Test func `Every request is answered once although any process is killed`() async throws {
        let hosts = [try host("front", "front"), try host("media1", "media"), try host("media2", "media")]
        for source in 0..<Self.sources {
            for user in Self.users { try await telegram.say(".vdl \(site.url)/\(source).mp4", as: user) }
            for _ in 0..<4 {
                let host = Bool.random() ? "media1" : "media2"
                kill(Bool.random() ? "media-fetch" : "blob-put", of: host)
                kill(["tg-gate", "ratelimit", "ev-route"].randomElement() ?? "", of: "front")
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...300)))
            }
        }
        for user in Self.users {
            var captions: [String?] = []
            for _ in 0..<600 {
                captions = try await telegram.answers(in: user.id).map(\.caption)
                // The reply that showed the progress is removed behind the answer.
                if captions.count == Self.sources, captions.allSatisfy({ $0 != nil }) { break }
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(captions.count == Self.sources, "user \(user.id): \(captions)")
            #expect(captions.allSatisfy { $0 != nil })
        }
        for host in hosts { host.signal(SIGTERM) }
        for host in hosts { #expect(host.wait() == 0) }
        #expect(try redis.cli("XLEN", "tgpipe:{queues}:media:dead") == "0")
    }

    @Test func `Large downloads go to the large-download workers`() async throws {
        let hosts = [
            try host("front", "front"), try host("media1", "media", ["MAX_DIRECT_SIZE": "1K"]),
            try host("media2", "large"),
        ]
        try await telegram.say(".vdl \(site.url)/0.mp4", as: Self.users[0])
        var captions: [String?] = []
        // The reply that told of the progress goes a moment after the media came.
        for _ in 0..<600 where captions.count != 1 || captions.first == .some(nil) {
            try await Task.sleep(for: .milliseconds(50))
            captions = try await telegram.answers(in: Self.users[0].id).map(\.caption)
        }
        #expect(captions.count == 1 && captions.first != .some(nil))
        for host in hosts { host.signal(SIGTERM) }
        for host in hosts { #expect(host.wait() == 0) }
        #expect(try redis.cli("XINFO", "GROUPS", "tgpipe:{queues}:large:stream").contains("media-fetch"))
    }

    @Test func `A stage that cannot work ends the whole pipeline`() throws {
        let host = try host("front", "front")
        defer { host.signal(SIGTERM) }
        _ = try redis.cli("SET", "tgpipe:{queues}:commands:stream", "no stream")
        #expect(host.wait() == 78)
    }
}
