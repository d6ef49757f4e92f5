import Glibc
import JSON
import Logging
import Options
import System

extension Settings {
    /// `TGPIPE_LOG` is a level, a format, or both with a colon between them.
    static func log(level: Logger.Level?, format: LogFormat?) throws -> (Logger.Level, LogFormat) {
        var level = level
        var format = format
        for word in (environment("TGPIPE_LOG") ?? "").split(separator: ":").map(String.init) {
            if let known = Logger.Level(rawValue: word) {
                level = level ?? known
            } else if let known = LogFormat(rawValue: word) {
                format = format ?? known
            } else {
                throw ToolError(.configuration, "TGPIPE_LOG=\(word.printable): neither a level nor a format")
            }
        }
        return (level ?? .info, format ?? (isatty(STDERR_FILENO) == 1 ? .human : .json))
    }
}
