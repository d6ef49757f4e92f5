import Synchronization

/// Remembers the secrets that this process has read, so that one place can keep them out of everything it shows: a server that
/// echoes a request in its error message would otherwise put the token into the log.
package enum KnownSecrets {
    /// Shorter texts are not looked for, because they would also match harmless text.
    private static let shortest = 6

    private static let known = Mutex<[String]>([])
    private static let changes = Atomic(0)

    /// Changes when a secret is remembered, so that texts without secrets can be kept until then.
    package static var generation: Int { changes.load(ordering: .relaxed) }

    /// Remembers a secret. The part after a colon, which is the secret part of a bot token, is recognised by itself too.
    package static func remember(_ secret: String) {
        var forms = [secret]
        if let colon = secret.firstIndex(of: ":") { forms.append(String(secret[secret.index(after: colon)...])) }
        let isNew = known.withLock { known in
            let new = forms.filter { $0.utf8.count >= shortest && !known.contains($0) }
            guard !new.isEmpty else { return false }
            known += new
            // A longer secret that contains a shorter one is replaced as a whole.
            known.sort { $0.utf8.count > $1.utf8.count }
            return true
        }
        if isNew { changes.add(1, ordering: .relaxed) }
    }

    /// Returns a text with `[secret]` in place of each remembered secret.
    package static func removed(from text: String) -> String {
        let secrets = known.withLock { $0 }
        var result = text
        for secret in secrets { result = result.replacing(secret, with: "[secret]") }
        return result
    }
}
