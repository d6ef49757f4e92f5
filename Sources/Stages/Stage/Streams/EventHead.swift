package import Envelope
package import JSON
import Synchronization

/// Represents an event of which only its type, its correlation id and some fields have been read. A filter that needs no more takes a
/// fraction of the time that parsing the event would take.
package struct EventHead: Sendable {
    /// Represents the value of a field.
    package enum Field: Sendable, Equatable {
        case absent
        /// A string, or an integer as text.
        case text(String)
        /// Only the whole event tells.
        case unclear
    }

    package let line: Line
    package let type: String
    package let correlationID: EventID
    /// The values of the fields that the filter asked for, in its order.
    package let fields: [Field]
    /// The place in the line behind the last member of `meta`, and whether there is one; nil if members cannot be added there.
    fileprivate let metaEnd: (offset: Int, isEmpty: Bool)?
    fileprivate let reader: EventHeadReader

    /// Parses the whole event.
    ///
    /// - Throws: `MalformedInput`.
    package func envelope() throws(MalformedInput) -> Envelope { try reader.parse(line) }

    /// Returns the line, with its line feed, and further members at the end of `meta`.
    ///
    /// - Parameter members: JSON members with commas between them. Their keys are those that the filter named as its own.
    /// - Returns: nil if only the parsed event can take them: `meta` is absent, or has one of these keys already.
    package func line(addingToMeta members: [UInt8]) -> [UInt8]? {
        guard let (offset, isEmpty) = metaEnd else { return nil }
        return line.withBytes { bytes in
            var output: [UInt8] = []
            output.reserveCapacity(bytes.count + members.count + 2)
            output.append(contentsOf: bytes[..<offset])
            if !isEmpty { output.append(UInt8(ascii: ",")) }
            output.append(contentsOf: members)
            output.append(contentsOf: bytes[offset...])
            output.append(UInt8(ascii: "\n"))
            return output
        }
    }
}

/// Reads the heads of events.
package final class EventHeadReader: Sendable {
    private struct Tools: ~Copyable, @unchecked Sendable {
        let finder: FieldFinder
        let parser = JSONParser()
        /// The type of the last event, whose text the next one of the same type shares.
        var type = ""
    }

    private let tools: Mutex<Tools>
    private let fieldCount: Int
    private let keyCount: Int

    /// - Parameters:
    ///   - fields: the paths of the fields, below `payload` or `meta`.
    ///   - metaKeys: the keys that the filter itself adds to `meta`.
    package init(fields: [[String]], metaKeys: [String] = []) {
        let paths = fields + [["meta"]] + metaKeys.map { ["meta", $0] }
        (fieldCount, keyCount) = (fields.count, metaKeys.count)
        tools = Mutex(Tools(finder: FieldFinder(paths.map { [$0.joined(separator: ".")] })))
    }

    /// Reads a line.
    ///
    /// - Parameter accepts: whether the filter handles events of a type.
    /// - Returns: the head; nil for an event that the filter does not handle.
    func read(_ line: Line, accepts: (String) -> Bool) -> Result<EventHead?, ScanFault> {
        tools.withLock { tools in
            line.withBytes { bytes in
                let finder = tools.finder
                let scanned = finder.find(in: bytes)
                if let fault = scanned.fault { return .failure(ScanFault(fault, scanned)) }
                if !tools.type.utf8.elementsEqual(scanned.type) {
                    tools.type = String(decoding: scanned.type, as: UTF8.self)
                }
                guard accepts(tools.type) else { return .success(nil) }
                guard let correlationID = EventID(utf8: scanned.correlationID) else {
                    return .failure(
                        ScanFault(MalformedInput(.invalidCorrelationID, "correlation_id is not a UUID"), scanned))
                }
                return .success(
                    EventHead(
                        line: line, type: tools.type, correlationID: correlationID,
                        fields: (0..<fieldCount).map { Self.value(finder[$0], in: bytes) },
                        metaEnd: metaEnd(finder, in: bytes), reader: self))
            }
        }
    }

    fileprivate func parse(_ line: Line) throws(MalformedInput) -> Envelope {
        let parsed = tools.withLock { tools in
            line.withBytes { bytes in
                Result { () throws(MalformedInput) in
                    try Envelope(try tools.parser.parse(bytes, padded: true))
                }
            }
        }
        return try parsed.get()
    }

    private static func value(_ field: JSONSource, in line: UnsafeRawBufferPointer) -> EventHead.Field {
        // The finder does not see a key that is written with an escape.
        if field.bytes.isEmpty { return JSONSource.hasEscape(line) ? .unclear : .absent }
        if let number = field.int { return .text(String(number)) }
        guard let quoted = field.quoted, !JSONSource.hasEscape(quoted) else { return .unclear }
        return .text(String(decoding: quoted, as: UTF8.self))
    }

    /// Returns the place where members may be added to `meta`. An escape may hide a key, so that such a `meta` is left to the parser.
    private func metaEnd(_ finder: FieldFinder, in line: UnsafeRawBufferPointer) -> (offset: Int, isEmpty: Bool)? {
        let meta = finder[fieldCount]
        guard keyCount > 0, meta.isObject, let start = line.baseAddress, let place = meta.bytes.baseAddress,
            !JSONSource.hasEscape(meta.bytes)
        else { return nil }
        for index in 0..<keyCount where !finder[fieldCount + 1 + index].bytes.isEmpty { return nil }
        let isEmpty = meta.bytes.dropFirst().dropLast().allSatisfy { [0x20, 0x09, 0x0D, 0x0A].contains($0) }
        return (place - start + meta.bytes.count - 1, isEmpty)
    }
}

/// Tells why a line is no event, and what could be read of it.
struct ScanFault: Error {
    let fault: MalformedInput
    let correlationID: EventID?

    init(_ fault: MalformedInput, _ scanned: ScannedLine) {
        self.fault = fault
        correlationID = EventID(utf8: scanned.correlationID)
    }
}
