import Envelope
import Foundation
import JSON
import TestSupport

/// A bot from the listening to the sending stage, against the emulated Telegram, with a web site that has two clips.
final class MediaBot: Sendable {
    let telegram: BotEmulator
    let site: WebSite
    let folder: TemporaryFolder
    private let redis: RedisServer
    private let pipeline: SpawnedProgram

    /// - Parameters:
    ///   - stages: the stages between tg-gate and media-fetch, in which `{site}` stands for the address of the site.
    ///   - fetch: further options of media-fetch.
    ///   - last: the stages between blob-put and tg-send.
    init(_ stages: [String], fetch: String = "", last: [String] = []) async throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
        telegram = try BotEmulator()
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        for (name, size) in [("small", "160x120"), ("large", "320x240")] {
            let clip =
                "ffmpeg -loglevel error -f lavfi -i testsrc=d=2:s=\(size) -f lavfi -i sine=d=2 -shortest -pix_fmt yuv420p"
            guard try SpawnedProgram(["sh", "-c", "\(clip) \(folder("www/\(name).mp4"))"]).wait() == 0 else {
                throw ToolRun.TookTooLong(description: "ffmpeg made no clip")
            }
        }
        site = try WebSite(root: folder("www"))
        var environment = telegram.environment
        environment["TGPIPE_REDIS"] = redis.address
        environment["TGPIPE_STATE"] = folder("state")
        environment["TGPIPE_STORE"] = "file:\(folder("store"))"
        environment["TG_ADMIN_ID"] = "42"
        environment["TGPIPE_LOG"] = "json:info"
        environment["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        environment["HOME"] = folder.path
        let (bin, log) = (ToolRun.path(of: ""), folder("log"))
        let published = ["commands.#", "events.telegram.raw", "events.access.denied"]
        let gate = published.map { "--subscribe '\($0)'" }.joined(separator: " ")
        let all =
            ["tg-listen --bot", "tg-gate \(gate)"] + stages + [
                "media-fetch --allow-private \(fetch)", "blob-put",
            ] + last + ["tg-send --progress-interval 100ms"]
        // The address of the site is known only now.
        let address = site.url
        let commands = all.map { $0.replacing("{site}", with: address) }.map {
            "\(bin)\($0) 2>>\(log).\($0.prefix { $0 != " " })"
        }
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let script = "export \(variables); \(commands.joined(separator: " | ")) >\(folder("out.ndjson"))"
        pipeline = try SpawnedProgram(["sh", "-c", script])
    }

    deinit {
        let pids = try? SpawnedProgram.output(of: ["pgrep", "-P", "\(pipeline.processIdentifier)"])
        for pid in (pids ?? "").split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGTERM) }
        pipeline.wait()
    }

    /// Makes a further video on the web site.
    func make(_ name: String, _ options: String) throws {
        let picture = "-f lavfi -i testsrc=d=20:r=10:s=160x120,noise=alls=40:allf=t -f lavfi -i sine=d=20 -shortest"
        let words = "-v error \(picture) -pix_fmt yuv420p \(options) \(folder("www/\(name)"))"
        guard try SpawnedProgram(["ffmpeg"] + words.split(separator: " ").map(String.init)).wait() == 0 else {
            throw ToolRun.TookTooLong(description: "ffmpeg made no \(name)")
        }
    }

    /// Makes a picture on the web site.
    func makePicture(_ name: String, _ options: String) throws {
        let path = folder("www/\(name)")
        try FileManager.default.createDirectory(
            atPath: String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)),
            withIntermediateDirectories: true)
        let ending = name.hasSuffix(".gif") ? "" : "-frames:v 1"
        let words = "-v error -y \(options) \(ending) \(path)".split(separator: " ").map(String.init)
        guard try SpawnedProgram(["ffmpeg"] + words).wait() == 0 else {
            throw ToolRun.TookTooLong(description: "ffmpeg made no \(name)")
        }
    }

    /// Writes a file of the web site.
    func write(_ text: String, to name: String) throws {
        let path = folder("www/\(name)")
        try FileManager.default.createDirectory(
            atPath: String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)),
            withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// Returns the size of a file of the web site.
    func size(of name: String) throws -> Int64 {
        try FileManager.default.attributesOfItem(atPath: folder("www/\(name)"))[.size] as? Int64 ?? 0
    }

    var page: String { "\(site.url)/choice/film?at=120:small.mp4&at=240:large.mp4" }

    /// Waits until one of the bot's standing answers in a chat fulfils a condition.
    func answer(in chat: Int64, where isIt: (BotEmulator.Entry) -> Bool) async throws -> BotEmulator.Entry {
        try await telegram.answer(in: chat, where: isIt)
    }

    func question(in chat: Int64) async throws -> BotEmulator.Entry {
        try await answer(in: chat) { !$0.buttons.isEmpty }
    }

    /// Waits for the answer to the press of a button.
    func toast(of query: String) async throws -> String? { try await telegram.toast(of: query) }
}
