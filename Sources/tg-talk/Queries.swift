import Envelope
import Payloads
import Stage
import System
import Texts
import Turns

/// Tells people which requests of theirs wait or are worked on (`/queue`), and what they have had today (`/usage`).
struct Queries: Sendable {
    /// A message has room for these.
    private static let mostLines = 20
    private static let longestLink = 80

    let runtime: Runtime
    let texts: Texts

    /// Describes the requests of a user; for an admin, those of all users.
    ///
    /// - Parameter chat: the group in which the answer appears, which is shown its own requests only; nil in a private chat.
    func queue(_ user: Int64, _ language: String?, isAdmin: Bool, in chat: Int64?) async throws -> String {
        let book = TurnBook(runtime)
        let line = try await book.line()
        let requests = try await book.requests(line.running + line.waiting).filter { request in
            (isAdmin || request.user == user) && (chat == nil || request.chat == chat)
        }
        guard !requests.isEmpty else { return texts.text(isAdmin ? "queue_none_all" : "queue_none", language) }
        var lines = requests.prefix(Queries.mostLines).map { request in
            let place = line.place(of: request.id)
            let link = request.link.map { Queries.shortened($0) } ?? texts.text("queue_file", language)
            let name = isAdmin ? [Direction.isolated(String(request.name.prefix(40)))] : []
            let words = [place.map { "⏳ \($0.place)" } ?? "⬇️"] + name + [Direction.isolated(link)]
            return words.joined(separator: " · ")
        }
        if requests.count > lines.count { lines.append("… +\(requests.count - lines.count)") }
        return ([texts.text(isAdmin ? "queue_all" : "queue_own", language)] + lines).joined(separator: "\n")
    }

    private static func shortened(_ link: String) -> String {
        link.count > longestLink ? "\(link.prefix(longestLink))…" : link
    }

    /// Describes what a user has had today, and the limits of a day.
    func usage(_ user: Int64, _ language: String?) async throws -> String {
        let usage = Usage(runtime)
        let (figures, limits) = (try await usage.figures(of: user), try await usage.limits())
        func of<Value>(_ value: Value, _ limit: Value?, _ words: (Value) -> String) -> TextValue {
            .text(limit.map { "\(words(value)) / \(words($0))" } ?? words(value))
        }
        return texts.text(
            "usage_today", language,
            [
                "requests": of(figures.requests, limits.requests) { "\($0)" },
                "bytes": of(figures.bytes, limits.bytes) { ByteCount.text($0) },
                "time": of(figures.time, limits.time) { texts.time($0.components.seconds, language) },
            ])
    }
}
