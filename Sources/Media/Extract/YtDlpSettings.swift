import HTTP

/// How yt-dlp is run.
public struct YtDlpSettings: Sendable {
    /// A path, or a name that is looked for in `PATH`.
    public var program = "yt-dlp"
    /// The user's own, after this library's, so that they win.
    public var extraArguments: [String] = []
    /// Of a signed-in account. Only a copy of it is given to yt-dlp, which writes to its cookies file.
    public var cookiesFile: String?

    public init(program: String = "yt-dlp", extraArguments: [String] = [], cookiesFile: String? = nil) {
        self.program = program
        self.extraArguments = extraArguments
        self.cookiesFile = cookiesFile
    }
}
