import CQRCode

/// Draws a QR code with half-block characters, two rows of modules per line.
struct QRCode {
    private let width: Int
    private let modules: [Bool]

    /// The light border that readers need, in modules.
    private static let margin = 2

    /// Encodes a text; nil when it is too long for a QR code.
    init?(_ text: String) {
        guard let code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L) else { return nil }
        defer { QRcode_free(code) }
        width = Int(code.pointee.width)
        // The lowest bit of each byte is the module: set is dark.
        modules = UnsafeBufferPointer(start: code.pointee.data, count: width * width).map { $0 & 1 == 1 }
    }

    private func isDark(_ row: Int, _ column: Int) -> Bool {
        guard (0..<width).contains(row), (0..<width).contains(column) else { return false }
        return modules[row * width + column]
    }

    /// The drawing for a terminal, light on dark in any colour scheme.
    var text: String {
        let (margin, end) = (QRCode.margin, width + QRCode.margin)
        return stride(from: -margin, to: end, by: 2).map { row in
            let line = (-margin..<end).map { column in
                switch (isDark(row, column), isDark(row + 1, column)) {
                case (false, false): "█"
                case (false, true): "▀"
                case (true, false): "▄"
                case (true, true): " "
                }
            }
            return "\u{1b}[97;40m\(line.joined())\u{1b}[0m\n"
        }.joined()
    }
}
