import Glibc
import HTTP
import JSON
import Payloads
import TestSupport
import Testing

@testable import Media

/// Fetches from a yt-dlp that tells how it was called.
@Suite struct FittingTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Returns the order of formats with which a film of 72, 32 and 5 MB is downloaded, or the reason why it is not.
    private func order(fit: Int64?, max: Int64 = 2_000_000_000, _ variant: MediaVariant = .standard) async throws
        -> String
    {
        let program = folder("yt-dlp")
        let text = """
            #!/usr/bin/python3
            import json, sys
            if "-J" in sys.argv:
                sound = {"vcodec": "none", "acodec": "mp4a", "filesize": 2000000}
                films = [{"vcodec": "avc1", "acodec": "none", "width": w, "height": h, "filesize": s} for w, h, s in
                    [(1920, 1080, 70000000), (1280, 720, 30000000), (640, 360, 3000000)]]
                print(json.dumps({"id": "aaaaaaaaaaa", "extractor_key": "Youtube", "title": "x", "formats": [sound] + films,
                    "requested_formats": [films[0], sound]}))
            else:
                sys.exit("ERROR: order " + sys.argv[sys.argv.index("--format-sort") + 1].split(",")[0])

            """
        try SmallFile.write(Array(text.utf8), to: program)
        chmod(program, 0o755)
        var settings = MediaSettings(directory: folder("jobs"))
        settings.ytDlp.program = program
        settings.fitBytes = fit
        settings.maxBytes = max
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        let error = await #expect(throws: MediaError.self) {
            try await MediaFetcher(settings).fetch(MediaJob(.video, identity, variant))
        }
        return error?.reason ?? ""
    }

    @Test(arguments: [
        (nil, "order lang"), (80_000_000, "order lang"), (50_000_000, "order res:720"), (6_000_000, "order res:360"),
        // Nothing fits: the person gets the best, as a link or with the reason.
        (1_000_000, "order lang"),
    ])
    func `The best picture that fits is chosen before the download`(_ fit: Int64?, _ order: String) async throws {
        #expect(try await self.order(fit: fit).contains(order))
    }

    @Test func `A smaller picture that was asked for stays, and one that fits a limit for all is fetched`() async throws
    {
        let small = MediaVariant(maxHeight: 360)
        #expect(try await order(fit: 50_000_000, small).contains("order res:360"))
        #expect(try await order(fit: nil, max: 50_000_000) == "That is 72.0 MB; at most 50.0 MB can be fetched.")
        #expect(try await order(fit: 50_000_000, max: 50_000_000).contains("order res:720"))
    }

    // MARK: On the way

    private static let site = Result {
        let clips = try Clips.shared.get()
        let noise = "-f lavfi -i testsrc=size=320x240:rate=25:duration=20,noise=alls=60:allf=t -f lavfi -i sine=d=20"
        try clips.run(
            "\(noise) -c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart \(clips.folder("noise.mp4"))")
        return try WebSite(root: clips.folder.path)
    }

    private func fetch(_ query: String, fit: Int64?) async throws -> MediaFetched {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        settings.fitBytes = fit
        let link = "\(try Self.site.get().url)/choice/film?\(query)"
        return try await MediaFetcher(settings).fetch(MediaJob(.video, try #require(SourceIdentity(link))))
    }

    @Test(arguments: ["chunked/noise.mp4", "slow/400000/noise.mp4"])
    func `A picture whose size was not told, and which does not fit, gives way to a smaller one`(
        _ large: String
    ) async throws {
        let query = "at=120:clip.mp4&at=240:\(large)&title=\(large)"
        let media = try await fetch(query, fit: 200_000)
        #expect(media.metadata.description.height == 120)
        if large.hasPrefix("slow") {
            let visits = try await Self.site.get().requests().filter { $0["path"]?.string == "/\(large)" }
            let sent = visits.compactMap { $0["bytes_sent"]?.int }.max() ?? 0
            #expect(sent < 1_000_000, "the download went on to \(sent) bytes")
        }
    }

    @Test func `The best is kept if it fits, if nothing smaller is there, and if it is wanted in any case`()
        async throws
    {
        let both = "at=120:clip.mp4&at=240:noise.mp4"
        #expect(try await fetch(both + "&title=a", fit: 100_000_000).metadata.description.height == 240)
        #expect(try await fetch("at=240:noise.mp4&title=b", fit: 200_000).metadata.description.height == 240)
        #expect(try await fetch(both + "&title=c", fit: nil).metadata.description.height == 240)
    }
}
