import ArgumentParser
import JSON
import LogStore
import Synchronization
import System

/// A level as an argument.
struct LineLevel: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let level: LogLevel

    init(_ level: LogLevel) { self.level = level }

    init?(argument: String) {
        guard let level = LogLevel(name: argument) else { return nil }
        self.level = level
    }

    var description: String { level.name }
    var defaultValueDescription: String { level.name }
    static var allValueStrings: [String] { LogLevel.allCases.map(\.name) }
}

/// A time as an argument: RFC 3339, a date, or how long ago it was.
struct PointInLog: ExpressibleByArgument, Sendable {
    let time: Timestamp

    init?(argument: String) {
        if let span = Duration(spanText: argument) {
            time = Timestamp.now + .zero - span
        } else if let time = Timestamp(argument) ?? Timestamp("\(argument)T00:00:00Z") {
            self.time = time
        } else {
            return nil
        }
    }
}

extension Timestamp {
    fileprivate static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds - min(duration.milliseconds, 4_000_000_000_000) * 1000)
    }
}

/// Names a request: its correlation id, or the message that answers it.
struct RequestArgument: ExpressibleByArgument, Sendable {
    enum Form: Sendable {
        case prefix(CorrelationPrefix)
        /// Texts of which one occurs in the line of the log that names the message.
        case message([[String]])
    }

    let form: Form
    let text: String

    init?(argument: String) {
        text = argument
        if let prefix = CorrelationPrefix(argument) {
            form = .prefix(prefix)
        } else if let message = RequestArgument.message(argument) {
            form = .message(message)
        } else {
            return nil
        }
    }

    /// Reads a message's link or `CHAT:MESSAGE`.
    private static func message(_ text: String) -> [[String]]? {
        var rest = text[...]
        for start in ["https://", "http://", "tg://"] where rest.hasPrefix(start) { rest = rest.dropFirst(start.count) }
        if rest.hasPrefix("t.me/") {
            let words = rest.dropFirst(5).prefix { $0 != "?" && $0 != "#" }.split(separator: "/")
            guard words.count >= 2, let message = words.last.flatMap({ Int64($0) }), message > 0 else { return nil }
            if words[0] == "c", words.count >= 3, let chat = Int64(words[1]) {
                return [["\"chat_id\":-100\(chat)", "\"message_id\":\(message)"]]
            }
            return [["\"chat_username\":\"\(words[0])\"", "\"message_id\":\(message)"]]
        }
        let words = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard words.count == 2, let chat = Int64(words[0]), let message = Int64(words[1]), message > 0 else {
            return nil
        }
        return [["\"chat_id\":\(chat)", "\"message_id\":\(message)"]]
    }

    /// Returns the ids that are meant; nil if no line names the message.
    func prefix(_ reader: LogReader) throws -> CorrelationPrefix? {
        switch form {
        case .prefix(let prefix): return prefix
        case .message(let choices):
            for texts in choices {
                var query = LogQuery()
                query.kind = .both
                query.rawTexts = texts
                for line in try reader.last(20, query).reversed() {
                    let id = (try? JSON(parsing: line.line))?["correlation_id"]?.string
                    if let prefix = id.flatMap({ CorrelationPrefix($0) }) { return prefix }
                }
            }
            return nil
        }
    }
}

/// Tells a thread that blocks that it is to end.
final class FollowingEnd: Sendable {
    private let requested = Atomic(false)

    var isRequested: Bool { requested.load(ordering: .relaxed) }

    func request() { requested.store(true, ordering: .relaxed) }
}
