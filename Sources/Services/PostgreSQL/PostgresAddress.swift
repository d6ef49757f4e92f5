import JSON
import System

/// Represents the address of a PostgreSQL database: `postgresql://[user[:password]@][host][:port][/database][?settings]`.
///
/// The form is libpq's, which also reads the variables `PGHOST`, `PGPASSWORD` and so on for what the address leaves out.
package struct PostgresAddress: Sendable {
    /// The whole address, with the password.
    let text: String
    /// Is true if the address holds a password, which must not be visible in arguments.
    package let hasPassword: Bool
    /// The address without its password, for messages.
    package let description: String

    /// Returns whether a text has the form of such an address.
    package static func isAddress(_ text: String) -> Bool {
        text.hasPrefix("postgresql://") || text.hasPrefix("postgres://")
    }

    /// - Throws: `.configuration`, in words that do not repeat the text, which may hold a password.
    package init(parsing text: String) throws(PostgresError) {
        guard PostgresAddress.isAddress(text), let scheme = text.firstRange(of: "://") else {
            throw PostgresError(
                .configuration, "not a PostgreSQL address: use postgresql://[user@][host][:port]/database")
        }
        guard !text.utf8.contains(where: { $0 < 32 || $0 == 127 }) else {
            throw PostgresError(.configuration, "a PostgreSQL address cannot hold control characters")
        }
        var shown = String(text[..<scheme.upperBound])
        var rest = text[scheme.upperBound...]
        var secrets: [Substring] = []
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        if let at = authority.lastIndex(of: "@") {
            let login = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            shown += login[0] + "@"
            if login.count == 2 { secrets.append(login[1]) }
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard !parts[0].contains("@") else {
            throw PostgresError(
                .configuration, "the user and password of a PostgreSQL address must be percent-encoded")
        }
        shown += parts[0]
        if parts.count == 2 {
            let isSecret = { (setting: Substring) in
                setting.hasPrefix("password=") || setting.hasPrefix("sslpassword=")
            }
            let settings = parts[1].split(separator: "&")
            secrets += settings.filter(isSecret).map { $0[$0.index(after: $0.firstIndex(of: "=") ?? $0.startIndex)...] }
            let open = settings.filter { !isSecret($0) }
            if !open.isEmpty { shown += "?" + open.joined(separator: "&") }
        }
        for secret in secrets where !secret.isEmpty {
            KnownSecrets.remember(String(secret))
            if let decoded = strictlyPercentDecoded(secret) { KnownSecrets.remember(decoded) }
        }
        (self.text, hasPassword, description) = (text, secrets.contains { !$0.isEmpty }, shown)
    }
}

extension PostgresAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var debugDescription: String { description }
    /// An empty mirror, so that `dump` does not show the password.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
