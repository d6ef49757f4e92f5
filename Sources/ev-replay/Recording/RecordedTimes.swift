import JSON
import Stage
import System

/// Describes one line of a recording, as a line of the file of times: `{"at":…,"edge":…,"checksum":…}`.
struct RecordedTime: Sendable {
    /// The time at which the recorder got the event.
    let at: Timestamp
    /// The place in the pipeline where it was recorded.
    let edge: String?
    /// The checksum of the line in the recording.
    let checksum: UInt64

    init(at: Timestamp, edge: String?, checksum: UInt64) { (self.at, self.edge, self.checksum) = (at, edge, checksum) }

    /// Returns nil for a value of another form.
    init?(_ json: JSON) {
        guard let at = json["at"]?.string.flatMap({ Timestamp($0) }), let text = json["checksum"]?.string,
            text.utf8.count == 16, let checksum = UInt64(text, radix: 16)
        else { return nil }
        self.init(at: at, edge: json["edge"]?.string, checksum: checksum)
    }

    func write(to output: inout [UInt8]) {
        let object: JSONObject = [
            "at": .string(at.description), "edge": edge.map { .string($0) },
            "checksum": .string(Checksum.text(checksum)),
        ]
        object.write(to: &output)
        output.append(UInt8(ascii: "\n"))
    }
}

/// Reads the times of a recording, and finds the time of each of its lines. It blocks, and is not for two threads at once.
///
/// A recorder that is killed leaves lines without a time, or times without a line. So a line is looked for among the next times,
/// and one that is not found has none.
final class RecordedTimes {
    /// The number of times among which a line is looked for.
    private static let most = 4096
    /// The number of lines without a time from which on the two files are taken not to belong together.
    private static let enoughMisses = 1000

    private let path: String
    private let reader: LineReader
    private let parser = JSONParser()
    private var waiting: [RecordedTime] = []
    private var start = 0
    private var isAtEnd = false
    private var lineNumber = 0
    private var found = 0
    private(set) var missed = 0

    init(path: String, shutdown: Shutdown) {
        self.path = path
        reader = LineReader(endpoint: path, maxLineBytes: 64 << 10, shutdown: shutdown)
    }

    /// Returns the time of a line; the calls are in the order of the lines.
    ///
    /// - Throws: `ToolError` (65, 74), also when the times are those of another recording.
    func time(of checksum: UInt64) throws(ToolError) -> RecordedTime? {
        try fill(1)
        if start < waiting.count, waiting[start].checksum == checksum { return take(start) }
        try fill(RecordedTimes.most)
        if let index = waiting[start...].firstIndex(where: { $0.checksum == checksum }) { return take(index) }
        missed += 1
        if missed >= RecordedTimes.enoughMisses, missed > found { throw misfit }
        return nil
    }

    /// Checks, after the last line, that the times belong to the recording.
    func checkFit() throws(ToolError) {
        if missed > found { throw misfit }
    }

    private func take(_ index: Int) -> RecordedTime {
        found += 1
        start = index + 1
        return waiting[index]
    }

    private func fill(_ count: Int) throws(ToolError) {
        while !isAtEnd, waiting.count - start < count {
            waiting.removeFirst(start)
            start = 0
            guard let outputs = try reader.next() else {
                isAtEnd = true
                return
            }
            for output in outputs { try add(output) }
        }
    }

    private func add(_ output: LineSplitter.Output) throws(ToolError) {
        guard case .lines(let block) = output else { throw malformed(lineNumber + 1) }
        for line in block.lines {
            lineNumber += 1
            let json = line.withBytes { bytes in try? parser.parse(bytes, padded: true) }
            guard let time = json.flatMap({ RecordedTime($0) }) else {
                // A killed recorder leaves a torn line.
                missed += 1
                if missed >= RecordedTimes.enoughMisses, missed > found { throw malformed(lineNumber) }
                continue
            }
            waiting.append(time)
        }
    }

    private func malformed(_ number: Int) -> ToolError {
        ToolError(
            .malformedInput,
            "line \(number) of \(path) is no time of a recording: give --ignore-times to replay by the events' own times"
        )
    }

    private var misfit: ToolError {
        ToolError(
            .malformedInput,
            "\(path) does not belong to this recording: \(missed) lines are not in it; give --ignore-times to replay by the"
                + " events' own times")
    }
}
