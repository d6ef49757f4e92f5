/// Formats sizes for people.
package enum ByteCount {
    /// Returns a size in decimal units, such as `512 B`, `1.5 MB` or `2.0 GB`.
    package static func text(_ bytes: Int64) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "kB", "MB", "GB", "TB"]
        while value >= 999.95, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        guard unit > 0 else { return "\(bytes) B" }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

extension Unicode.Scalar {
    /// Is true for characters that change how the text around them is shown: control characters, line separators, controls of
    /// the writing direction, and the byte order mark. Strangers use them to forge lines or to reverse the order of a name.
    ///
    /// Other formatting characters belong to the text: joiners of emoji and of Persian and Indic letters, and the tags of flags.
    package var steersDisplay: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format:
            switch value {
            case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true
            default: false
            }
        default: false
        }
    }

    /// Is true for characters that show nothing and do not change their neighbours: zero-width spaces, soft hyphens, and
    /// invisible operators. They hide differences between texts.
    package var showsNothing: Bool {
        switch value {
        case 0x00AD, 0x200B, 0x2060...0x2064: true
        default: false
        }
    }
}

extension String {
    /// The text as one line, with a space for each character that steers the display, so that input cannot forge lines or
    /// steer the terminal that shows it.
    package var printable: String { printable(atMost: .max) }

    /// Returns the beginning of the text as one line that cannot steer a terminal.
    ///
    /// - Parameter count: the largest number of Unicode scalars.
    package func printable(atMost count: Int) -> String {
        String(String.UnicodeScalarView(unicodeScalars.prefix(count).map { $0.steersDisplay ? " " : $0 }))
    }
}
