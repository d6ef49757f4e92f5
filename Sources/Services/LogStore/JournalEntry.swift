package import JSON

/// Holds one entry of systemd's journal, as `journalctl -o json` prints it.
package struct JournalEntry: Sendable {
    /// The fields that ev-log reads. journalctl adds the cursor and the times itself.
    package static let fieldNames =
        ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_EXE", "_SYSTEMD_USER_UNIT"] + furtherNames.map(\.field)

    private static let furtherNames: [(field: String, key: String)] = [
        ("_PID", "pid"), ("_HOSTNAME", "host"), ("_SYSTEMD_UNIT", "unit"), ("CODE_FILE", "file"), ("ERRNO", "errno"),
    ]
    /// The first time that is not written with four digits for the year.
    private static let firstLongTime: Int64 = 253_402_300_800_000_000

    private let fields: JSONObject

    /// - Returns: nil for an object that is no entry of the journal.
    package init?(_ fields: JSONObject) {
        guard fields["__REALTIME_TIMESTAMP"] != nil else { return nil }
        self.fields = fields
    }

    /// The place of the entry in the journal.
    package var cursor: String? { fields["__CURSOR"]?.string }

    /// Microseconds since 1970; nil for a time that no clock shows.
    var microseconds: Int64? {
        fields["__REALTIME_TIMESTAMP"]?.long.flatMap { (0..<JournalEntry.firstLongTime).contains($0) ? $0 : nil }
    }

    var level: LogLevel { fields["PRIORITY"]?.long.flatMap { LogLevel(priority: $0) } ?? .info }

    /// The name under which the program logs.
    var program: String? {
        [text("SYSLOG_IDENTIFIER"), text("_COMM")].lazy.compactMap { $0 }.first { !$0.isEmpty }
    }

    /// The path of the program, if journald knew it.
    package var executable: String? { text("_EXE") }

    /// The unit of systemd: that of the user's manager, or else of the machine's.
    package var unit: String? { text("_SYSTEMD_USER_UNIT") ?? text("_SYSTEMD_UNIT") }

    /// The fields that are kept beside those of every line.
    var furtherFields: JSONObject {
        var rest = JSONObject()
        for (field, key) in JournalEntry.furtherNames { if let value = text(field) { rest[key] = .string(value) } }
        return rest
    }

    /// Returns a field: text, or the numbers of its bytes where it is not UTF-8. Of several values, the last one counts.
    package func text(_ name: String) -> String? {
        guard let value = fields[name] else { return nil }
        if let text = value.string { return text }
        guard let values = value.array else { return nil }
        if let last = values.last?.string { return last }
        return String(decoding: values.compactMap { $0.int.flatMap { UInt8(exactly: $0) } }, as: UTF8.self)
    }
}
