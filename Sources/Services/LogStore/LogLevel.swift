/// The levels of log lines, from the lowest to the highest.
package enum LogLevel: Int, Sendable, CaseIterable, Comparable {
    case trace, debug, info, notice, warning, error, critical

    package var name: String { "\(self)" }

    package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    /// Reads a level's name, in either case, with the names of other programs: `warn`, `fatal`, `err`, …
    package init?(name: some StringProtocol) {
        switch name.lowercased() {
        case "trace", "verbose", "finest": self = .trace
        case "debug", "fine": self = .debug
        case "info", "information", "informational": self = .info
        case "notice": self = .notice
        case "warning", "warn": self = .warning
        case "error", "err", "severe": self = .error
        case "critical", "crit", "fatal", "alert", "emerg", "emergency", "panic": self = .critical
        default: return nil
        }
    }

    /// Reads a priority of syslog, 0 (emergency) to 7 (debug).
    package init?(priority: Int64) {
        switch priority {
        case 0...2: self = .critical
        case 3: self = .error
        case 4: self = .warning
        case 5: self = .notice
        case 6: self = .info
        case 7: self = .debug
        default: return nil
        }
    }

    /// Reads the numbers of bunyan and pino, 10 (trace) to 60 (fatal).
    init?(tens: Int64) {
        switch tens {
        case 10: self = .trace
        case 20: self = .debug
        case 30: self = .info
        case 40: self = .warning
        case 50: self = .error
        case 60: self = .critical
        default: return nil
        }
    }
}
