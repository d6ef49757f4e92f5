/// Knows the events because of which a stage speaks to Telegram.
package enum TelegramBound {
    /// The types that tg-send acts on.
    package static let sent = Set(
        MediaProgress.types + MediaFetched.types + DownloadReady.types + DownloadFailed.types + TelegramCommand.types)

    /// Returns whether a stage of tgpipe speaks to Telegram when it gets an event.
    ///
    /// - Parameter hasFile: whether the payload asks for a file in Telegram, which media-fetch gets from there.
    package static func includes(_ type: String, hasFile: Bool) -> Bool {
        sent.contains(type) || type.hasPrefix("commands.telegram.") || (hasFile && type.hasPrefix("commands.media."))
    }
}
