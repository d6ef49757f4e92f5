import Synchronization

/// Remembers the secrets that this process has read, so that one place can keep them out of everything it shows: a server that
/// echoes a request in its error message would otherwise put the token into the log.
package enum KnownSecrets {
    /// Shorter texts are not looked for, because they would also match harmless text.
    private static let shortest = 6
    /// The most secrets of one owner: those of now, and some earlier ones, which programs that still run may show.
    package static let mostOfOwner = 200

    private struct State {
        /// The secrets that hold until the end of the process.
        var lasting: Set<String> = []
        /// The secrets that others replace, by their owner, the newest first.
        var passing: [String: [String]] = [:]
        /// All of them. A longer secret that contains a shorter one comes first, because it is replaced as a whole.
        var sorted: [String] = []

        /// Returns whether the secrets have changed.
        mutating func sort() -> Bool {
            let all = lasting.union(passing.values.joined())
            let new = all.sorted { ($1.utf8.count, $0) < ($0.utf8.count, $1) }
            defer { sorted = new }
            return new != sorted
        }
    }

    private static let known = Mutex(State())
    private static let changes = Atomic(0)

    /// Changes with the secrets, so that texts without secrets can be kept until then.
    package static var generation: Int { changes.load(ordering: .relaxed) }

    /// Remembers a secret. The part after a colon, which is the secret part of a bot token, is recognised by itself too.
    package static func remember(_ secret: String) {
        let isNew = known.withLock { known in
            let new = forms(of: secret).filter { !known.lasting.contains($0) }
            guard !new.isEmpty else { return false }
            known.lasting.formUnion(new)
            return known.sort()
        }
        if isNew { changes.add(1, ordering: .relaxed) }
    }

    /// Remembers the secrets that an owner, such as a file, has now. Those that it had before are forgotten in time, so that secrets
    /// that change with each use do not collect.
    package static func remember(_ secrets: [String], of owner: String) {
        let isNew = known.withLock { known in
            var (all, seen): ([String], Set<String>) = ([], [])
            for secret in secrets.flatMap({ forms(of: $0) }) + known.passing[owner, default: []]
            where all.count < mostOfOwner {
                if seen.insert(secret).inserted { all.append(secret) }
            }
            guard known.passing[owner] != all else { return false }
            known.passing[owner] = all
            return known.sort()
        }
        if isNew { changes.add(1, ordering: .relaxed) }
    }

    /// Returns the texts to look for.
    private static func forms(of secret: String) -> [String] {
        var forms = [secret]
        if let colon = secret.firstIndex(of: ":") { forms.append(String(secret[secret.index(after: colon)...])) }
        return forms.filter { $0.utf8.count >= shortest }
    }

    /// Returns a text with `[secret]` in place of each remembered secret.
    package static func removed(from text: String) -> String {
        let secrets = known.withLock { $0.sorted }
        var result = text
        for secret in secrets { result = result.replacing(secret, with: "[secret]") }
        return result
    }
}
