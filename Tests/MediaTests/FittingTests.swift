import Glibc
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
}
