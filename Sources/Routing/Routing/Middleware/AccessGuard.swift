import Envelope
import JSON

/// Lets through what tg-gate let through: events whose `meta` says who asked, and that they may.
///
/// It trusts `meta`: behind tg-gate, or where only trusted programs write.
final class AccessGuard: Middleware {
    static let allRoles = ["admin", "blessed", "graced"]

    /// What an event must have one of.
    struct Allowed: Sendable, Equatable {
        var roles: Set<String>
        var actors: Set<Int64> = []
        var chats: Set<Int64> = []
    }

    private let allowed: Allowed

    init(_ allowed: Allowed) { self.allowed = allowed }

    func judge(_ events: [PassingEvent]) -> [Verdict] { events.map { judge($0.envelope.meta) } }

    private func judge(_ meta: JSONObject) -> Verdict {
        let role = meta["role"]?.string
        if let role, allowed.roles.contains(role) { return .pass }
        if let actor = meta.value(at: ["actor", "id"])?.int, allowed.actors.contains(actor) { return .pass }
        if let chat = meta.value(at: ["origin", "chat_id"])?.int, allowed.chats.contains(chat) { return .pass }
        let reason =
            role.map { "the role \($0) is not enough" } ?? "meta has no role: nobody has let this event through"
        return .refuse(MalformedInput(.accessDenied, reason))
    }
}
