import ChatCommands
import Envelope
import JSON

/// Signs the buttons of questions.
struct ChoiceKey: Sendable {
    private let key: ButtonKey

    init(_ key: ButtonKey) { self.key = key }

    /// Names everything that the signature of a button is bound to.
    struct Bond: Sendable, Equatable {
        /// The event that asks.
        var request: EventID
        var user: Int64
        var chat: Int64
        /// The message of the person who asks.
        var message: Int64
        /// The time after which the button is of no use, in Unix seconds.
        var expires: Int64

        fileprivate func text(_ option: Int) -> String {
            "choice 1\n\(request)\n\(user)\n\(chat)\n\(message)\n\(expires)\n\(option)"
        }
    }

    /// The parts of a button's data that can be read without the bond.
    struct Press: Sendable, Equatable {
        let request: EventID
        let option: Int
        fileprivate let mac: [UInt8]

        /// Reads a button's data; nil for data that no button of this stage has.
        init?(_ data: String) {
            guard data.hasPrefix("c1:"), data.utf8.count <= 64,
                let bytes = Base64.decodeForURLs(String(data.dropFirst(3))), bytes.count == 17 + ButtonKey.macBytes,
                // Several texts can stand for the same bytes; only one of them is a button's.
                "c1:\(Base64.encodeForURLs(bytes, isPadded: false))" == data,
                case let halves = [bytes[..<8], bytes[8..<16]].map({ $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } })
            else { return nil }
            request = EventID(high: halves[0], low: halves[1])
            (option, mac) = (Int(bytes[16]), Array(bytes[17...]))
        }
    }

    /// Returns the data of a button: 47 bytes.
    func data(_ bond: Bond, option: Int) -> String {
        let id = [bond.request.high, bond.request.low].flatMap { half in
            (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) }
        }
        let bytes = id + [UInt8(truncatingIfNeeded: option)] + key.signature(of: bond.text(option))
        return "c1:\(Base64.encodeForURLs(bytes, isPadded: false))"
    }

    /// Returns whether a press is that of a button with this bond.
    func signed(_ press: Press, _ bond: Bond) -> Bool {
        key.signed(press.mac, bond.text(press.option))
    }
}
