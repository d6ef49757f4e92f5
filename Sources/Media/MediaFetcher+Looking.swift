import Payloads

extension MediaFetcher {
    /// Returns a site's description of the video of a link, without downloading it.
    func describe(_ identity: SourceIdentity, readsAccountPages: Bool = true) async throws(MediaError) -> VideoInfo {
        try await withExtractor(for: identity, readsAccountPages: readsAccountPages) { ytDlp throws(MediaError) in
            try await ytDlp.describe(identity)
        }
    }

    /// Uses yt-dlp in a folder of its own, without downloading anything.
    func withExtractor<Answer: Sendable>(
        for identity: SourceIdentity, readsAccountPages: Bool, _ body: (YtDlp) async throws(MediaError) -> Answer
    ) async throws(MediaError) -> Answer {
        let hash = ContentAddress(.video, identity).hash
        let deadline = ContinuousClock.now + settings.deadline
        let folder = try await JobFolder.open(root: settings.directory, hash: hash, deadline: deadline) {}
        defer {
            folder.remove()
            folder.unlock()
        }
        let site = settings.sites.site(of: identity.fetchURL)
        var ytDlp = YtDlp(
            settings: settings.ytDlp.adapted(to: site, adding: \.arguments), proxy: site?.proxy,
            ffmpegProgram: settings.ffmpeg,
            jail: settings.jail, folder: folder, kind: .video, addressPolicy: settings.addressPolicy, maxBytes: .max,
            largestBytes: .max, deadline: deadline)
        ytDlp.site = site
        if !readsAccountPages { ytDlp.checkAnswer = settings.accountPageCheck }
        return try await body(ytDlp)
    }
}
