import Envelope
import Glibc
import JSON
import Payloads
import Stage
import System

/// Represents one event of a recording.
struct RecordedEvent: Sendable {
    let line: Line
    let type: String
    /// The id in the form of 36 characters, in lower case.
    let correlationID: String
    /// The event's id, if it has one.
    let id: String?
    /// The time at which it was recorded, or else the time at which it was made.
    let time: Timestamp?
    let edge: String?
    /// Is true if a stage speaks to Telegram because of the event.
    let speaksToTelegram: Bool
}

/// Reads a recording: the events in their order, each with its time. It blocks, and is not for two threads at once.
final class Recording {
    enum Item: Sendable {
        case event(RecordedEvent)
        case refused(RefusedLine)
    }

    private enum Place: Int, CaseIterable {
        case timestamp, id, file
    }

    private let reader: LineReader
    private let times: RecordedTimes?
    private let finder = FieldFinder([["timestamp"], ["id"], ["payload.file"]])

    /// - Parameter times: the path of the file of times; nil to use the events' own.
    init(path: String, times: String?, maxLineBytes: Int, shutdown: Shutdown) {
        reader = LineReader(endpoint: path, maxLineBytes: maxLineBytes, shutdown: shutdown)
        self.times = times.map { RecordedTimes(path: $0, shutdown: shutdown) }
    }

    /// The path of the file of times that belongs to a recording.
    static func timesPath(of path: String) -> String { path + ".times" }

    /// Returns whether a path leads to a file that can be read more than once.
    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return path != "-" && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The number of lines that the file of times does not know.
    var linesWithoutTime: Int { times?.missed ?? 0 }

    /// Returns the next events and refused lines; nil at the end.
    func next() throws(ToolError) -> [Item]? {
        guard let outputs = try reader.next() else {
            try times?.checkFit()
            return nil
        }
        var items: [Item] = []
        for output in outputs {
            switch output {
            case .lines(let block): for line in block.lines { items.append(try item(line)) }
            case .tooLong(let prefix, let size): items.append(.refused(.tooLong(prefix: prefix, sizeBytes: size)))
            }
        }
        return items
    }

    private func item(_ line: Line) throws(ToolError) -> Item {
        try line.withBytes { (bytes) throws(ToolError) in
            let scanned = finder.find(in: bytes)
            if let fault = scanned.fault {
                return .refused(
                    RefusedLine(line: Array(bytes), sizeBytes: bytes.count, fault: fault, correlationID: nil))
            }
            let recorded = try times?.time(of: Checksum.of(bytes))
            let type = String(decoding: scanned.type, as: UTF8.self)
            let own = recorded == nil ? finder[Place.timestamp.rawValue].string.flatMap { Timestamp($0) } : nil
            return .event(
                RecordedEvent(
                    line: line, type: type,
                    correlationID: String(decoding: scanned.correlationID, as: UTF8.self).lowercased(),
                    id: finder[Place.id.rawValue].string, time: recorded?.at ?? (times == nil ? own : nil),
                    edge: recorded?.edge,
                    speaksToTelegram: TelegramBound.includes(
                        type, hasFile: !finder[Place.file.rawValue].isAbsent)))
        }
    }
}
