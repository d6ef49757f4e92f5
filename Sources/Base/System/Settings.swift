import Glibc
import Synchronization

/// Reads settings from flags and environment variables: a flag takes precedence, and an empty variable counts as absent.
///
/// In place of a variable, systemd can give a credential of the same name (`LoadCredential=TG_BOT_TOKEN:/path`), or, from a
/// folder of such files, one with the folder's id before it (`LoadCredential=tgpipe:/folder`). A variable takes precedence.
package enum Settings {
    /// Returns the value of an environment variable or credential; nil if there is none, or it is empty.
    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else {
            return secrets.withLock { $0[name] } ?? credential(name)
        }
        return String(cString: value)
    }

    /// Returns the first line of a credential that systemd gave to this service.
    private static func credential(_ name: String) -> String? {
        guard let folder = getenv("CREDENTIALS_DIRECTORY"), folder.pointee != 0 else { return nil }
        for file in [name, "tgpipe_\(name)"] {
            let descriptor = open("\(String(cString: folder))/\(file)", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard let bytes = readAll(descriptor, atMost: 65_536) else { continue }
            let line = SecretFile.firstLine(of: bytes)
            if !line.isEmpty { return line }
        }
        return nil
    }

    /// Reads a setting from an environment variable; nil if it is absent or empty.
    ///
    /// - Parameter expected: completes the message `NAME must be …`; nil for `NAME is malformed`.
    /// - Throws: `ToolError` (78) for a value that `read` does not accept.
    package static func value<Value>(
        _ name: String, expected: String? = nil, _ read: (String) -> Value?
    ) throws -> Value? {
        guard let text = environment(name) else { return nil }
        guard let value = read(text) else {
            throw ToolError(.configuration, expected.map { "\(name) must be \($0)" } ?? "\(name) is malformed: \(text)")
        }
        return value
    }

    /// The secrets that were taken from the environment.
    private static let secrets = Mutex<[String: String]>([:])

    /// Returns the value of an environment variable, and erases it from the environment: other processes of the same user
    /// and programs that this process starts cannot read it there. `environment` still returns it to this process.
    package static func takeSecret(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return environment(name) }
        let secret = String(cString: value)
        secrets.withLock { $0[name] = secret }
        // Removing the variable would move others while another thread may read them.
        memset(value, 0, strlen(value))
        return secret
    }

    /// Returns a secret from a file, of which the first word counts, or from the environment. Secrets never come from arguments.
    ///
    /// - Throws: `ToolError` (78) if there is no secret.
    package static func secret(_ name: String, file: String?, what: String) throws -> String {
        if let value = try file.map({ try contents(of: $0, what: what) }) ?? takeSecret(name) {
            KnownSecrets.remember(value)
            return value
        }
        throw ToolError(
            .configuration, "\(what) is missing: set \(name) in the environment, or give a file that holds it")
    }

    /// Returns a passphrase, which may have several words: the first line of a file, or an environment variable.
    ///
    /// - Throws: `ToolError` (78) if there is none.
    package static func passphrase(_ name: String, file: String?, what: String) throws -> String {
        let value: String?
        if let file {
            value = SecretFile.firstLine(of: try SecretFile.bytes(of: file, what))
        } else {
            value = takeSecret(name)
        }
        guard let value, !value.isEmpty else { throw ToolError(.configuration, "the \(what) is empty") }
        KnownSecrets.remember(value)
        return value
    }

    private static func contents(of path: String, what: String) throws -> String {
        let text = String(decoding: try SecretFile.bytes(of: path, what), as: UTF8.self)
        guard let word = text.split(whereSeparator: \.isWhitespace).first else {
            throw SecretFile.empty(path, what)
        }
        return String(word)
    }

    /// Returns the state folder: the flag, `TGPIPE_STATE`, systemd's `STATE_DIRECTORY`, or the user's own state folder.
    package static func stateDirectory(flag: String?) throws -> String {
        if let chosen = flag ?? environment("TGPIPE_STATE") ?? environment("STATE_DIRECTORY") { return chosen }
        if let base = environment("XDG_STATE_HOME") { return base + "/tgpipe" }
        guard let home = environment("HOME") else {
            throw ToolError(.configuration, "the state folder is unknown: set TGPIPE_STATE or give --state-dir")
        }
        return home + "/.local/state/tgpipe"
    }
}

/// Makes a folder and its missing parent folders.
///
/// - Throws: `ToolError` (74).
package func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws {
    let made = makeFolders(path, mode: mode)
    guard made.error == 0 else {
        throw ToolError(.localIO, "unable to make the folder \(made.path): \(String(cString: strerror(made.error)))")
    }
}
