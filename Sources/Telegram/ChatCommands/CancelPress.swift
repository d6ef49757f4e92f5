package import Envelope
import JSON

/// Holds the data of a button that cancels a request: the request and the user who may press it, with a signature.
///
/// The signature also covers the chat, so that the data is of no use in another one.
package struct CancelPress: Sendable, Equatable {
    private static let prefix = "x1:"

    /// The correlation of the request.
    package let request: EventID
    /// The user who made the request.
    package let user: Int64
    private let mac: [UInt8]

    /// Returns whether data is meant to be that of such a button.
    package static func isOne(_ data: String) -> Bool { data.hasPrefix(prefix) }

    /// Reads a button's data; nil for data that no such button has.
    package init?(_ data: String) {
        guard CancelPress.isOne(data), data.utf8.count <= 64,
            let bytes = Base64.decodeForURLs(String(data.dropFirst(CancelPress.prefix.count))),
            bytes.count == 24 + ButtonKey.macBytes,
            // Several texts can stand for the same bytes; only one of them is a button's.
            CancelPress.text(bytes) == data
        else { return nil }
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        request = EventID(high: number(0..<8), low: number(8..<16))
        user = Int64(bitPattern: number(16..<24))
        mac = Array(bytes[24...])
    }

    /// Returns the data of a button: 57 bytes.
    package static func data(_ key: ButtonKey, request: EventID, user: Int64, chat: Int64) -> String {
        let numbers = [request.high, request.low, UInt64(bitPattern: user)]
        let bytes = numbers.flatMap { number in
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
        }
        return text(bytes + key.signature(of: signedText(request, user, chat)))
    }

    /// Returns whether a button in a chat had this data.
    package func isSigned(by key: ButtonKey, chat: Int64) -> Bool {
        key.signed(mac, CancelPress.signedText(request, user, chat))
    }

    private static func text(_ bytes: [UInt8]) -> String {
        prefix + Base64.encodeForURLs(bytes, isPadded: false)
    }

    private static func signedText(_ request: EventID, _ user: Int64, _ chat: Int64) -> String {
        "cancel 1\n\(request)\n\(user)\n\(chat)"
    }
}
