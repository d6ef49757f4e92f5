package import Config
import Glibc
package import HTTP
package import Payloads
import System

/// Configures how media is fetched.
package struct MediaSettings: Sendable {
    /// The folder that holds one folder for each job, with the progress and at the end the file.
    package var directory: String
    /// The addresses that links may lead to, whichever program follows them.
    package var addressPolicy: AddressPolicy = .publicOnly
    /// The longest file to fetch or make, in bytes.
    package var maxBytes: Int64 = 2_000_000_000
    package var limits = ContentLimits()
    /// Limits files to what can be delivered; nil if every file that may be fetched can be.
    package var delivery: DeliveryLimit?
    /// The size up to which a smaller picture of a video is taken, if the site offers one that fits; nil for the best picture in
    /// any case.
    package var fitBytes: Int64?
    /// Encodes a video anew that does not fit even so; nil for never.
    package var reencode: ReencodeSettings?
    /// The longest file that another worker fetches, if that is longer: a site's formats are chosen by this limit.
    package var largestBytes: Int64?
    /// Is true if a file must survive a loss of power before it is reported. Set this if the report itself survives one,
    /// as in a queue.
    package var isDurable = true
    /// The longest silence of a server.
    package var stallTimeout: Duration = .seconds(30)
    /// A server that sends fewer bytes per second fails the job, and releases its place to others.
    package var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 8192, over: .seconds(60))
    /// The free space of the disk that fetches leave, in bytes.
    package var reserveBytes: Int64 = 0
    /// The most bytes that all jobs in `directory` together may keep; nil sets no such limit.
    package var quotaBytes: Int64?
    /// The longest pause that a server may request. A server that requests more fails the job.
    package var longestRetryAfter: Duration = .seconds(60)
    /// The time limit for a whole fetch.
    package var deadline: Duration = .seconds(2 * 3600)
    package var ytDlp = ExtractorSettings()
    package var galleryDl = ExtractorSettings(program: "gallery-dl")
    /// The settings of single sites.
    package var sites = Sites()
    /// A path, or a name to look up in `PATH`. ffprobe is taken from the same folder.
    package var ffmpeg = "ffmpeg"
    /// The jail of yt-dlp, ffmpeg and ffprobe.
    package var jail = HelperJail()
    /// Hosts of short links beside the well-known ones (`host` or `host:port`).
    package var shortLinkHosts: [String] = []

    package init(directory: String) {
        self.directory = directory
    }

    /// Sets how sites are reached. What is absent comes from the environment.
    ///
    /// - Parameters:
    ///   - allowsPrivate: whether links may lead to addresses that are not public.
    ///   - denied: the addresses that are refused in any case, or networks such as `192.0.2.0/24`; `TGPIPE_DENY_ADDRESSES` has
    ///     them with commas.
    ///   - sites: the path of the file with the settings of single sites; `TGPIPE_SITES`.
    ///   - cookies: the path of the cookies for all other sites; `TGPIPE_COOKIES`.
    /// - Throws: `ConfigError` that names the first text which is no address, or the mistake in the file.
    package mutating func reachSites(
        allowsPrivate: Bool, denied: [String] = [], sites: String? = nil, cookies: String?
    ) throws(ConfigError) {
        addressPolicy = allowsPrivate ? .any : .publicOnly
        let variable = Settings.environment("TGPIPE_DENY_ADDRESSES")?.split { ", ".contains($0) }.map(String.init)
        addressPolicy.denied = try (denied.isEmpty ? variable ?? [] : denied).map { text throws(ConfigError) in
            guard let range = AddressRange(text) else {
                throw ConfigError("not an address or a network: \(text.printable)")
            }
            return range
        }
        if let sites = sites ?? Settings.environment("TGPIPE_SITES") { self.sites = try SitesFile.read(sites) }
        ytDlp.cookiesFile = cookies ?? Settings.environment("TGPIPE_COOKIES")
        galleryDl.cookiesFile = ytDlp.cookiesFile
        var everywhere = Site()
        (everywhere.cookiesFile, everywhere.arguments) = (ytDlp.cookiesFile, ytDlp.extraArguments)
        everywhere.galleryArguments = galleryDl.extraArguments
        everywhere.rememberSecrets()
    }

    /// The longest file to fetch for a request of a kind.
    package func longest(_ kind: MediaKind) -> Int64 {
        min(maxBytes, delivery?.bytes(of: kind) ?? maxBytes)
    }

    var ffprobe: String { FFmpeg.probeProgram(beside: ffmpeg) }
}

/// Limits files that are delivered as they were fetched to the size that the receiver takes.
package struct DeliveryLimit: Equatable, Sendable {
    package let bytes: Int64
    /// Is true if a video may be longer, because it is encoded anew.
    package let isForPicturesOnly: Bool

    package init(bytes: Int64, isForPicturesOnly: Bool = false) {
        (self.bytes, self.isForPicturesOnly) = (bytes, isForPicturesOnly)
    }

    /// Returns the limit for the file that is fetched for a request of a kind; nil if there is none. Sound is extracted from files
    /// of any size.
    package func bytes(of kind: MediaKind) -> Int64? {
        switch kind {
        case .audio: nil
        case .video: isForPicturesOnly ? nil : bytes
        case .image: bytes
        }
    }
}

/// Configures how yt-dlp or gallery-dl is run.
package struct ExtractorSettings: Sendable {
    /// A path, or a name to look up in `PATH`.
    package var program: String
    /// The user's arguments. They come after this library's, and take precedence.
    package var extraArguments: [String] = []
    /// The cookies file of a signed-in account. The program, which writes to its cookies file, gets only a copy.
    package var cookiesFile: String?
    /// Is true if what a site changes in the cookies is kept in their file.
    package var refreshesCookies = false

    /// The existing files and folders that the user's arguments name with their whole paths, such as a folder of plugins.
    var argumentFiles: [String] {
        extraArguments.compactMap { argument in
            let value = argument.hasPrefix("--") ? argument.drop { $0 != "=" }.dropFirst() : argument[...]
            return value.hasPrefix("/") && value != "/" && access(String(value), F_OK) == 0 ? String(value) : nil
        }
    }

    /// Returns the settings for one site.
    ///
    /// - Parameter arguments: the arguments that the site adds.
    func adapted(to site: Site?, adding arguments: KeyPath<Site, [String]>) -> ExtractorSettings {
        guard let site else { return self }
        var settings = self
        settings.extraArguments += site[keyPath: arguments]
        if let cookies = site.cookiesFile {
            settings.cookiesFile = cookies
            settings.refreshesCookies = true
        }
        return settings
    }

    package init(program: String = "yt-dlp", extraArguments: [String] = [], cookiesFile: String? = nil) {
        self.program = program
        self.extraArguments = extraArguments
        self.cookiesFile = cookiesFile
    }
}
