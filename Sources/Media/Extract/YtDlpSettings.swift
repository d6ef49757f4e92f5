/// How yt-dlp is run.
package struct YtDlpSettings: Sendable {
    /// A path, or a name that is looked for in `PATH`.
    package var program = "yt-dlp"
    /// The user's own, after this library's, so that they win.
    package var extraArguments: [String] = []
    /// Of a signed-in account. Only a copy of it is given to yt-dlp, which writes to its cookies file.
    package var cookiesFile: String?

    package init(program: String = "yt-dlp", extraArguments: [String] = [], cookiesFile: String? = nil) {
        self.program = program
        self.extraArguments = extraArguments
        self.cookiesFile = cookiesFile
    }
}
