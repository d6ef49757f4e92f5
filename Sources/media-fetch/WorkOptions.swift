import ArgumentParser
import HTTP
import Media
import Options
import System

/// Limits what downloads may occupy: the disk, and a place for as long as a slow site likes.
struct WorkOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A download that gets fewer bytes per second over a minute fails. Default: 8K. [env: TGPIPE_MIN_RATE]",
            valueName: "size"))
    var minRate: ByteSize?

    @Option(
        help: ArgumentHelp(
            "The free space of the disk that fetches leave. Default: 512M. [env: TGPIPE_MIN_FREE]", valueName: "size"))
    var minFree: ByteSize?

    @Option(
        help: ArgumentHelp(
            "The most that all downloads together may occupy. Default: ten times --max-size. [env: TGPIPE_WORK_QUOTA]",
            valueName: "size"))
    var workQuota: ByteSize?

    @Option(
        help: ArgumentHelp(
            "How long a partial download is kept that nobody asks for again. Default: 6h. [env: TGPIPE_KEEP_PARTIAL]",
            valueName: "duration"))
    var keepPartial: Span?

    var partialsKeptFor: Duration {
        get throws {
            try (keepPartial ?? Settings.value("TGPIPE_KEEP_PARTIAL", Span.init(argument:)))?.duration
                ?? .seconds(6 * 3600)
        }
    }

    func apply(to settings: inout MediaSettings) throws {
        let rate = try (minRate ?? Settings.value("TGPIPE_MIN_RATE", ByteSize.init(argument:)))?.bytes ?? 8 << 10
        settings.minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: Double(rate), over: .seconds(60))
        settings.reserveBytes =
            try (minFree ?? Settings.value("TGPIPE_MIN_FREE", ByteSize.init(argument:)))?.bytes ?? 512 << 20
        let (tenfold, isHuge) = settings.maxBytes.multipliedReportingOverflow(by: 10)
        settings.quotaBytes =
            try (workQuota ?? Settings.value("TGPIPE_WORK_QUOTA", ByteSize.init(argument:)))?.bytes
            ?? (isHuge ? .max : tenfold)
    }
}
