import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Records a pipeline, and replays what it received into a new one.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ReplayPipelineTests {
    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=160x120 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        guard try SpawnedProgram(["sh", "-c", "\(clip) \(folder("www/clip.mp4"))"]).wait() == 0 else {
            throw ToolRun.TookTooLong(description: "ffmpeg made no clip")
        }
        site = try WebSite(root: folder("www"))
    }

    /// Runs a pipeline to its end with a state, a store and a Redis of its own, and returns its exit status.
    private func run(_ pipeline: String, _ name: String, _ environment: [String: String] = [:]) throws -> Int32 {
        let redis = try RedisServer()
        var variables = environment
        variables["TGPIPE_REDIS"] = redis.address
        variables["TGPIPE_STATE"] = folder("\(name)-state")
        variables["TGPIPE_STORE"] = "file:\(folder("store"))"
        variables["TG_ADMIN_ID"] = "42"
        variables["TGPIPE_LOG"] = "json:info"
        variables["HOME"] = folder.path
        variables["PATH"] = "\(ToolRun.path(of: "")):\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        let export = variables.map { "export \($0)='\($1)'; " }.joined()
        return try SpawnedProgram([
            "bash", "-c", "set -o pipefail; \(export) cd \(folder.path); { \(pipeline); } 2>>log",
        ]).wait()
    }

    /// The stages between the updates and the results.
    private static let stages =
        "tg-gate | ratelimit -m 'commands.media.#' -n 2 -w 1h --exempt-role nobody | media-fetch --allow-private | blob-put"

    @Test func `A recorded pipeline gives the same golden result when its updates are replayed`() async throws {
        let telegram = try BotEmulator()
        let (ann, bob) = (
            BotEmulator.User(42, "Ann", username: "ann"), BotEmulator.User(43, "Bob <b>", username: "bob")
        )
        try await telegram.say("hello <b>there</b>", as: ann)
        try await telegram.say(".vdl \(site.url)/clip.mp4", as: ann)
        try await telegram.say(".adl \(site.url)/gone.mp3", as: ann)
        try await telegram.say(".vdl \(site.url)/clip.mp4?third", as: ann)
        try await telegram.say(".vdl \(site.url)/clip.mp4", as: bob)
        let recorded = try run(
            "tg-listen --bot --once | ev-replay record updates | \(Self.stages) | ev-replay record results >/dev/null",
            "first", telegram.environment)
        #expect(recorded == 0)
        let results = try envelopes("results")
        #expect(results.contains { $0.type == "events.dl.video.ready" })
        #expect(results.contains { $0.type == "events.dl.audio.failed" })
        try FileManager.default.removeItem(atPath: folder("store"))
        let replayed = try run("ev-replay --speed max --new-ids updates | \(Self.stages) >again", "second")
        #expect(replayed == 0, "\((try? String(contentsOfFile: folder("log"), encoding: .utf8)) ?? "")")
        let same = try await ToolRun.run("ev-replay", ["diff", folder("results"), folder("again")])
        #expect(same.status == 0, "\(same.output)")
        #expect(Set(try envelopes("again").map(\.correlationID)).isDisjoint(with: results.map(\.correlationID)))
        // The comparison sees a stage that does something else.
        let other = Self.stages.replacingOccurrences(of: "-n 2", with: "-n 1")
        try FileManager.default.removeItem(atPath: folder("store"))
        #expect(try run("ev-replay --speed max updates | \(other) >other", "third") == 0)
        let differs = try await ToolRun.run("ev-replay", ["diff", folder("results"), folder("other")])
        #expect(differs.status == 1 && differs.output.contains("rate"))
    }

    private func envelopes(_ name: String) throws -> [Envelope] {
        try String(contentsOfFile: folder(name), encoding: .utf8).split(separator: "\n").map {
            try Envelope(try JSON(parsing: String($0)))
        }
    }
}
