import Crypto
import Glibc
import System

/// Signs the data of buttons, so that nobody can make up a press.
///
/// The key is in the state folder. Without it, the buttons of earlier messages are of no use any more.
package struct ButtonKey: Sendable {
    private static let size = 32
    /// The number of bytes of a signature.
    package static let macBytes = 16

    private let key: [UInt8]

    package init(_ key: [UInt8]) { self.key = key }

    /// Reads the key, or makes one.
    ///
    /// - Throws: `ToolError` (74) if the file can be neither read nor written, (78) if it holds no key.
    package init(path: String) throws {
        if let known = try ButtonKey.read(path) {
            key = known
            return
        }
        let new = secureRandomBytes(ButtonKey.size)
        do throws(SystemError) {
            let file = try AtomicFile(at: "\(path).\(getpid())", mode: 0o600, isReplaceable: true)
            try file.write(new)
            try file.publish(as: path, durability: .power, isNew: true)
            key = new
        } catch {
            // Another process may have made the key at the same time.
            guard let known = try ButtonKey.read(path) else {
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

    /// Returns the signature of a text.
    package func signature(of text: String) -> [UInt8] {
        Array(hmacSHA256(key: key, text).prefix(ButtonKey.macBytes))
    }

    /// Returns whether a signature is that of a text, in a time that tells nothing about the right one.
    package func signed(_ signature: [UInt8], _ text: String) -> Bool {
        isEqualInConstantTime(signature[...], self.signature(of: text)[...])
    }
}
