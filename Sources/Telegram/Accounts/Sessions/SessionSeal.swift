import Crypto
import JSON
import Synchronization
import System

/// Encrypts the files of sessions with a passphrase, so that a copied file or a backup is no access to the account.
///
/// The content of an encrypted file is `{"version": 1, "sealed": {"kdf": "scrypt", "cost", "salt", "data"}}`, with Base64 in
/// `salt` and `data`; `data` is the content of a plain session file, sealed with AES-256-GCM.
package final class SessionSeal: Sendable {
    private let passphrase: String
    /// The key of the last file, because deriving one is slow by design.
    private let last = Mutex<PassphraseKey?>(nil)

    package init(passphrase: String) { self.passphrase = passphrase }

    /// Returns the seal of the passphrase in the file that `TG_SESSION_PASSPHRASE_FILE` names, or in `TG_SESSION_PASSPHRASE`.
    /// Returns nil if neither variable is set.
    ///
    /// - Throws: `ToolError` (78) if the file cannot be read.
    package static func configured() throws -> SessionSeal? {
        let name = "TG_SESSION_PASSPHRASE"
        let file = Settings.environment("\(name)_FILE")
        guard file != nil || Settings.environment(name) != nil else { return nil }
        return SessionSeal(passphrase: try Settings.passphrase(name, file: file, what: "passphrase of the sessions"))
    }

    func sealed(_ content: [UInt8]) -> [UInt8] {
        let known = last.withLock { $0 }
        guard let key = known ?? PassphraseKey(passphrase) else { fatalError("libcrypto has no memory for a key") }
        last.withLock { $0 = key }
        let members: JSONObject = [
            "kdf": "scrypt", "cost": .integer(Int64(key.cost)), "salt": .string(Base64.encode(key.salt)),
            "data": .string(Base64.encode(key.seal(content))),
        ]
        return JSON.object(["version": .integer(SessionFile.version), "sealed": .object(members)]).bytes + [
            UInt8(ascii: "\n")
        ]
    }

    /// Returns the plain content of a file that may be encrypted.
    ///
    /// - Throws: `AccountError`: `locked` for an encrypted file without a passphrase or with another one, `damaged`.
    static func content(of file: [UInt8], path: String, seal: SessionSeal?) throws(AccountError) -> [UInt8] {
        guard let members = (try? JSON(parsing: file))?["sealed"]?.object else { return file }
        guard let seal else {
            throw AccountError(
                .locked,
                "the session file \(path) is encrypted: set TG_SESSION_PASSPHRASE or TG_SESSION_PASSPHRASE_FILE")
        }
        guard members["kdf"] == "scrypt", let cost = members["cost"]?.int.flatMap({ Int(exactly: $0) }),
            let salt = members["salt"]?.string.flatMap({ Base64.decode($0) }), !salt.isEmpty,
            let data = members["data"]?.string.flatMap({ Base64.decode($0) }),
            PassphraseKey.acceptedCosts.contains(cost)
        else { throw AccountError(.damaged, "the session file \(path) is damaged") }
        guard let key = seal.key(salt: salt, cost: cost), let content = key.open(data) else {
            throw AccountError(.locked, "the passphrase is wrong for the session file \(path), or the file was changed")
        }
        seal.last.withLock { $0 = key }
        return content
    }

    private func key(salt: [UInt8], cost: Int) -> PassphraseKey? {
        if let known = last.withLock({ $0 }), known.salt == salt, known.cost == cost { return known }
        return PassphraseKey(passphrase, salt: salt, cost: cost)
    }
}
