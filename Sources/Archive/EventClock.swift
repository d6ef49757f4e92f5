import JSON

/// Reads the times of events. Events that follow each other have the same second in most cases, so the last one is remembered.
struct EventClock {
    /// The length of `2026-11-29T12:00:00`.
    private static let secondsEnd = 19

    private var lastText: [UInt8] = []
    private var lastSeconds: Int64 = 0

    /// Returns the microseconds since 1970; the present time for an event without a time.
    mutating func microseconds(of timestamp: JSONSource) -> Int64 {
        guard let text = timestamp.quoted else { return Timestamp.now.microseconds }
        // `…:00.123456Z` is the form in which all tools write times.
        let end = EventClock.secondsEnd
        guard text.count == end + 8, text[end] == UInt8(ascii: "."), text[end + 7] == UInt8(ascii: "Z") else {
            return Timestamp(String(decoding: text, as: UTF8.self))?.microseconds ?? Timestamp.now.microseconds
        }
        if !isLast(text) {
            guard let time = Timestamp(String(decoding: text, as: UTF8.self)) else { return Timestamp.now.microseconds }
            let fraction = EventClock.fraction(text)
            lastSeconds = time.microseconds - fraction
            lastText = Array(text[..<end])
        }
        return lastSeconds + EventClock.fraction(text)
    }

    private func isLast(_ text: UnsafeRawBufferPointer) -> Bool {
        lastText.withUnsafeBytes { last in
            !last.isEmpty && last.isEqual(to: UnsafeRawBufferPointer(rebasing: text[..<last.count]))
        }
    }

    private static func fraction(_ text: UnsafeRawBufferPointer) -> Int64 {
        text[secondsEnd + 1..<secondsEnd + 7].reduce(0) { $0 * 10 + Int64($1 &- UInt8(ascii: "0")) }
    }
}
