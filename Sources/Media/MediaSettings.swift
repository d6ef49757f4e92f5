package import HTTP

/// How media is fetched.
package struct MediaSettings: Sendable {
    /// Holds one folder a job: what is there so far, and at the end the file.
    package var directory: String
    /// Which addresses links may lead to, whoever follows them.
    package var addressPolicy: AddressPolicy = .publicOnly
    /// The longest file, fetched or made.
    package var maxBytes: Int64 = 2_000_000_000
    /// Whether a file is on the disk for good before it is reported: for reports that outlast a loss of power themselves.
    package var isDurable = true
    /// How long a server may be silent.
    package var stallTimeout: Duration = .seconds(30)
    /// A server that asks to be left alone for longer is not waited for.
    package var longestRetryAfter: Duration = .seconds(60)
    /// For a whole fetch.
    package var deadline: Duration = .seconds(2 * 3600)
    package var ytDlp = YtDlpSettings()
    /// A path, or a name that is looked for in `PATH`; ffprobe is its neighbour.
    package var ffmpeg = "ffmpeg"
    /// Hosts beside those known whose links are short ones (`host` or `host:port`).
    package var shortLinkHosts: [String] = []

    package init(directory: String) {
        self.directory = directory
    }

    var ffprobe: String {
        guard let slash = ffmpeg.lastIndex(of: "/") else { return "ffprobe" }
        return "\(ffmpeg[...slash])ffprobe"
    }
}
