package import Envelope
import Glibc
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

    /// Tells where the value of a field is in the line.
    fileprivate enum Place {
        case absent
        case text(start: Int, count: Int)
        case unclear
    }

    package let line: Line
    package let type: String
    package let correlationID: EventID
    fileprivate let first: Place
    fileprivate let second: Place
    /// The place in the line behind the last member of `meta`, and whether there is one; nil if members cannot be added there.
    fileprivate let metaEnd: (offset: Int, isEmpty: Bool)?
    fileprivate let reader: EventHeadReader

    /// Returns the value of a field, by its place in the filter's list.
    package func field(_ index: Int) -> Field {
        withField(index) { text in
            switch text {
            case .absent: .absent
            case .unclear: .unclear
            case .text(let bytes): .text(String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    /// Represents the value of a field as `Field` does, by its bytes, which are valid within one call.
    package enum FieldBytes {
        case absent
        case text(UnsafeRawBufferPointer)
        case unclear
    }

    /// Calls a body with the value of a field, by its place in the filter's list.
    package func withField<Result, Failure: Error>(
        _ index: Int, _ body: (FieldBytes) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch index == 0 ? first : second {
        case .absent: try body(.absent)
        case .unclear: try body(.unclear)
        case .text(let start, let count):
            try line.withBytes { bytes throws(Failure) in
                try body(.text(UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])))
            }
        }
    }

    /// Is true if members may be added at the end of `meta` without parsing the event: see `append(to:addingToMeta:)`.
    package var takesMetaMembers: Bool { metaEnd != nil }

    /// Parses the whole event.
    ///
    /// - Throws: `MalformedInput`.
    package func envelope() throws(MalformedInput) -> Envelope { try reader.parse(line) }

    /// Appends the line, with its line feed, and further members at the end of `meta`.
    ///
    /// - Parameter members: JSON members with commas between them. Their keys are those that the filter named as its own.
    /// - Returns: false, with nothing done, if only the parsed event can take them: `meta` is absent, or has one of these keys already.
    @discardableResult
    package func append(to output: inout [UInt8], addingToMeta members: [UInt8]) -> Bool {
        guard let (offset, isEmpty) = metaEnd else { return false }
        line.withBytes { bytes in
            output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<offset]))
            if !isEmpty { output.append(UInt8(ascii: ",")) }
            output.append(contentsOf: members)
            output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
            output.append(UInt8(ascii: "\n"))
        }
        return true
    }
}

/// Reads the heads of events.
package final class EventHeadReader: Sendable {
    private struct Tools: ~Copyable, @unchecked Sendable {
        let finder: FieldFinder
        let parser = JSONParser()
        /// The type of the last event, whose text the next one of the same type shares, and whether the filter handles it.
        var type: String?
        var isAccepted = false
    }

    /// The most fields that a filter can ask for.
    private static let mostFields = 2

    private let tools: Mutex<Tools>
    private let fieldCount: Int
    private let keyCount: Int

    /// - Parameters:
    ///   - fields: the paths of the fields, two at most, below `payload` or `meta`.
    ///   - metaKeys: the keys that the filter itself adds to `meta`.
    package init(fields: [[String]], metaKeys: [String] = []) {
        precondition(fields.count <= Self.mostFields)
        let paths = fields + [["meta"]] + metaKeys.map { ["meta", $0] }
        (fieldCount, keyCount) = (fields.count, metaKeys.count)
        tools = Mutex(Tools(finder: FieldFinder(paths.map { [$0.joined(separator: ".")] })))
    }

    /// Reads a line.
    ///
    /// - Parameter accepts: whether the filter handles events of a type, which is always the same.
    /// - Returns: the head; nil for an event that the filter does not handle.
    func read(_ line: Line, accepts: (String) -> Bool) -> Result<EventHead?, ScanFault> {
        tools.withLock { tools in
            line.withBytes { bytes in
                let finder = tools.finder
                let scanned = finder.find(in: bytes)
                if let fault = scanned.fault { return .failure(ScanFault(fault, scanned)) }
                let type: String
                if let known = tools.type, known.hasBytes(scanned.type) {
                    type = known
                } else {
                    type = String(decoding: scanned.type, as: UTF8.self)
                    (tools.type, tools.isAccepted) = (type, accepts(type))
                }
                guard tools.isAccepted else { return .success(nil) }
                guard let correlationID = EventID(utf8: scanned.correlationID) else {
                    return .failure(
                        ScanFault(MalformedInput(.invalidCorrelationID, "correlation_id is not a UUID"), scanned))
                }
                return .success(
                    EventHead(
                        line: line, type: type, correlationID: correlationID,
                        first: fieldCount > 0 ? Self.place(of: finder[0], in: bytes) : .absent,
                        second: fieldCount > 1 ? Self.place(of: finder[1], in: bytes) : .absent,
                        metaEnd: metaEnd(finder, in: bytes), reader: self))
            }
        }
    }

    /// Reads a line that is known to be an event.
    ///
    /// - Throws: `MalformedInput` if it is none.
    package func head(of line: Line) throws(MalformedInput) -> EventHead {
        switch read(line, accepts: { _ in true }) {
        case .success(let head?): return head
        case .success(nil): throw MalformedInput(.missingType, "no type")
        case .failure(let scan): throw scan.fault
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

    private static func place(of field: JSONSource, in line: UnsafeRawBufferPointer) -> EventHead.Place {
        // The finder does not see a key that is written with an escape.
        if field.bytes.isEmpty { return JSONSource.hasEscape(line) ? .unclear : .absent }
        guard let text = field.quoted ?? wholeNumber(field), !JSONSource.hasEscape(text),
            let start = line.baseAddress, let place = text.baseAddress
        else { return .unclear }
        return .text(start: place - start, count: text.count)
    }

    /// Returns the digits of an integer; nil for other values, and for one that is not written as an integer becomes text.
    private static func wholeNumber(_ field: JSONSource) -> UnsafeRawBufferPointer? {
        guard let number = field.int, number != 0 || field.bytes.count == 1 else { return nil }
        return field.bytes
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

extension String {
    /// Returns whether the text has these bytes.
    fileprivate func hasBytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard utf8.count == bytes.count else { return false }
        return utf8.withContiguousStorageIfAvailable { own in
            guard let a = own.baseAddress, let b = bytes.baseAddress else { return bytes.isEmpty }
            return memcmp(a, b, bytes.count) == 0
        } ?? utf8.elementsEqual(bytes)
    }
}
