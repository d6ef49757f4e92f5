import Foundation
import HTTP
import Payloads
import TestSupport
import Testing

@testable import Media

/// Encodes videos anew that do not fit what can be sent.
@Suite struct ReencodeTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    // Small: noise is what takes an encoder longest.
    private static let site = Result {
        let clips = try Clips.shared.get()
        let noise = "-f lavfi -i testsrc=size=320x240:rate=15:duration=8,noise=alls=80:allf=t -f lavfi -i sine=d=8"
        try clips.run(
            "\(noise) -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p -c:a aac -movflags +faststart \(clips.folder("heavy.mp4"))"
        )
        return try WebSite(root: clips.folder.path)
    }

    private func fetch(
        limit: Int64, budget: Duration = .seconds(60), isRequired: Bool = true, _ variant: MediaVariant = .standard,
        _ path: String = "/heavy.mp4", _ change: (inout MediaSettings) -> Void = { _ in },
        _ onProgress: @escaping ProgressHandler = { _ in }
    ) async throws -> MediaFetched {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        settings.fitBytes = limit
        settings.reencode = ReencodeSettings(limitBytes: limit, budget: budget, isRequired: isRequired)
        change(&settings)
        let identity = try #require(SourceIdentity(try Self.site.get().url + path))
        return try await MediaFetcher(settings).fetch(MediaJob(.video, identity, variant), onProgress: onProgress)
    }

    private func size(_ name: String) throws -> Int64 {
        let path = try Clips.shared.get().folder(name)
        return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64 ?? 0
    }

    @Test(arguments: ["/heavy.mp4", "/choice/film?at=240:heavy.mp4"])
    func `A video over the limit is made to fit, and keeps its length and its sound`(_ path: String) async throws {
        _ = try Self.site.get()
        let before = try size("heavy.mp4")
        let limit = before / 4
        let reports = ProgressLog()
        let media = try await fetch(limit: limit, .standard, path, { _ in }, reports.add)
        let found = try #require(try await probe(media.path))
        let bytes = try #require(media.metadata.content.sizeBytes)
        #expect(bytes <= limit && bytes > limit / 4, "\(bytes) of \(limit) bytes")
        #expect(found.hasPlayableVideo && found.hasAudio && found.isPlayable)
        #expect((7.8...8.3).contains(try #require(found.durationSeconds)))
        #expect(media.metadata.description.height.map { $0 <= 240 } == true)
        let states = reports.all.compactMap(\.state)
        #expect(states.contains(.converting) && reports.all.compactMap(\.fraction).contains { $0 > 0 })
    }

    @Test func `A video that fits is delivered unchanged`() async throws {
        _ = try Self.site.get()
        let before = try size("heavy.mp4")
        let media = try await fetch(limit: before)
        #expect(media.metadata.content.sizeBytes == before)
        let part = MediaVariant(cut: .init(start: 1000, end: 3000))
        #expect(try await fetch(limit: before / 2, part).metadata.description.height == 240)
    }

    @Test func `What would become too poor, or take too long, is refused with the reason, or delivered as it is`()
        async throws
    {
        _ = try Self.site.get()
        let before = try size("heavy.mp4")
        let poor = await #expect(throws: MediaError.self) { try await fetch(limit: 60_000) }
        #expect(poor?.code == .tooLarge && poor?.reason.contains("too poor") == true && poor?.sizeBytes == before)
        let start = ContinuousClock.now
        let late = await #expect(throws: MediaError.self) {
            try await fetch(limit: before / 4, budget: .milliseconds(20))
        }
        #expect(late?.code == .tooLarge && late?.reason.contains("longer than") == true, "\(late?.reason ?? "")")
        #expect(.now - start < .seconds(60))
        #expect(poor?.isTransient == false && late?.isTransient == false)
        let kept = try await fetch(limit: 60_000, isRequired: false)
        #expect(kept.metadata.content.sizeBytes == before)
    }

    @Test func `A cancelled encoding ends ffmpeg`() async throws {
        _ = try Self.site.get()
        let before = try size("heavy.mp4")
        let reports = ProgressLog()
        let task = Task {
            try await fetch(limit: before / 3, budget: .seconds(600), .standard, "/heavy.mp4", { _ in }, reports.add)
        }
        for _ in 0..<500 where !reports.all.contains(where: { $0.state == .converting }) {
            try await Task.sleep(for: .milliseconds(10))
        }
        task.cancel()
        let result = await task.result
        if case .failure(let error) = result { #expect((error as? MediaError)?.code == .cancelled) }
        let left = try FileManager.default.subpathsOfDirectory(atPath: folder("jobs"))
        #expect(!left.contains { $0.hasSuffix("converted.mp4") } || (try? result.get()) != nil, "\(left)")
    }

    // MARK: Plans

    private func plan(
        _ width: Int, _ height: Int, seconds: Double, limit: Int64, sound: Bool = true
    ) throws -> EncodingPlan? {
        let streams = #"{"codec_type": "video", "codec_name": "h264", "width": \#(width), "height": \#(height)}"#
        let audio = sound ? #", {"codec_type": "audio", "codec_name": "aac"}"# : ""
        let probe = try #require(MediaProbe(json: #"{"streams": [\#(streams)\#(audio)], "format": {}}"#))
        return EncodingPlan(probe: probe, seconds: seconds, limitBytes: limit)
    }

    @Test(
        arguments: [
            (1920, 1080, 60, 50_000_000, nil), (1920, 1080, 600, 50_000_000, 480), (1080, 1920, 600, 50_000_000, 480),
            (1920, 1080, 1800, 50_000_000, 240), (640, 360, 600, 50_000_000, nil), (1920, 1080, 7200, 50_000_000, 0),
            (1920, 1080, 7200, 2_000_000_000, 720),
        ] as [(Int, Int, Double, Int64, Int64?)])
    func `The picture is made only as small as its rate requires`(
        _ width: Int, _ height: Int, _ seconds: Double, _ limit: Int64, _ side: Int64?
    ) throws {
        let plan = try plan(width, height, seconds: seconds, limit: limit)
        if side == 0 {
            #expect(plan == nil)
        } else {
            let found = try #require(plan)
            #expect(found.height == side)
            let bits = Double(found.videoBitsPerSecond + found.audioBitsPerSecond) * seconds
            #expect(bits <= Double(limit) * 8)
        }
    }

    @Test func `Numbers that cannot be make no trap`() throws {
        for seconds in [0, -1, 1e-300, 1e300, .infinity, .nan] {
            for limit in [0, 1, .max] as [Int64] {
                for (width, height) in [(0, 0), (1, 1), (1, 1_000_000_000), (2_000_000_000, 2_000_000_000)] {
                    _ = try plan(width, height, seconds: seconds, limit: limit)
                }
            }
        }
    }
}
