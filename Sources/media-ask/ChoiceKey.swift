import Crypto
import Envelope
import Glibc
import JSON
import System

/// Signs the data of buttons, so that nobody can make up a press.
///
/// The key is in the state folder. Without it, the buttons of earlier messages are of no use any more.
struct ChoiceKey: Sendable {
    private static let size = 32
    private static let macBytes = 16

    private let key: [UInt8]

    init(_ key: [UInt8]) { self.key = key }

    /// Reads the key, or makes one.
    ///
    /// - Throws: `ToolError` (74) if the file can be neither read nor written, (78) if it holds no key.
    init(path: String) throws {
        if let known = try ChoiceKey.read(path) {
            key = known
            return
        }
        let new = secureRandomBytes(ChoiceKey.size)
        do throws(SystemError) {
            let file = try AtomicFile(at: "\(path).\(getpid())", mode: 0o600, isReplaceable: true)
            try file.write(new)
            try file.publish(as: path, durability: .power, isNew: true)
            key = new
        } catch {
            // Another process may have made the key at the same time.
            guard let known = try ChoiceKey.read(path) else {
                throw ToolError(.localIO, "unable to write \(path): \(error)")
            }
            key = known
        }
    }

    private static func read(_ path: String) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw ToolError.localIO("unable to read \(path)")
        }
        defer { close(descriptor) }
        guard let bytes = readAll(descriptor, atMost: size + 1), bytes.count == size else {
            throw ToolError(.configuration, "\(path) holds no key: remove the file, and a new one is made")
        }
        return bytes
    }

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
                let bytes = Base64.decodeForURLs(String(data.dropFirst(3))), bytes.count == 17 + ChoiceKey.macBytes,
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
        let bytes = id + [UInt8(truncatingIfNeeded: option)] + mac(bond, option)
        return "c1:\(Base64.encodeForURLs(bytes, isPadded: false))"
    }

    /// Returns whether a press is that of a button with this bond.
    func signed(_ press: Press, _ bond: Bond) -> Bool {
        isEqualInConstantTime(press.mac[...], mac(bond, press.option)[...])
    }

    private func mac(_ bond: Bond, _ option: Int) -> [UInt8] {
        Array(hmacSHA256(key: key, bond.text(option)).prefix(ChoiceKey.macBytes))
    }
}
