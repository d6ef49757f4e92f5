import Envelope
import JSON
import Payloads
import JSONSchema
import System

/// Refuses events with an impossible correlation or cause. The router has already checked that the correlation id is valid.
final class CorrelationGuard: Middleware {
    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) { verdicts += events.map(judge) }

    private func judge(_ event: MiddlewareEvent) -> Verdict {
        let envelope = event.envelope
        if envelope.correlationID.description == "00000000-0000-0000-0000-000000000000" {
            return .refuse(MalformedInput(.invalidCorrelationID, "correlation_id is the nil UUID"))
        }
        // Without an id, each stage would assign another one, and no event could name this event as its cause.
        if !event.hasID { return .refuse(MalformedInput(.invalidField, "no id")) }
        if envelope.causationID == envelope.id {
            return .refuse(MalformedInput(.invalidField, "causation_id is the event's own id"))
        }
        return .forward
    }
}

/// Forwards only the events of authorised actors, which tg-gate records in `meta`.
///
/// It trusts `meta`, so it belongs behind tg-gate or where only trusted programs write.
final class AccessGuard: Middleware {
    static let allRoles = ["admin", "blessed", "graced"]

    /// Lists the roles, actors and chats, of which an event must have one.
    struct Allowed: Sendable, Equatable {
        var roles: Set<String>
        var actors: Set<Int64> = []
        var chats: Set<Int64> = []
    }

    private let allowed: Allowed

    init(_ allowed: Allowed) { self.allowed = allowed }

    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) {
        verdicts += events.map { judge($0.envelope) }
    }

    private func judge(_ event: Envelope) -> Verdict {
        let role = event.role
        if let role, allowed.roles.contains(role) { return .forward }
        if let actor = event.actor?.id, allowed.actors.contains(actor) { return .forward }
        if let chat = event.origin?.chat?.number, allowed.chats.contains(chat) { return .forward }
        let reason =
            role.map { "the role \($0) is not enough" } ?? "meta has no role: nobody has let this event through"
        return .refuse(MalformedInput(.accessDenied, reason))
    }
}

/// Refuses events that do not match their JSON Schema.
final class SchemaCheck: LineMiddleware {
    private let schemas: SchemaSet
    private let refusesUnknown: Bool

    /// - Parameter folder: the folder of the schemas; nil for that of the installation.
    init(folder: String?, refusesUnknown: Bool) throws(ToolError) {
        guard let folder = folder ?? SchemaSet.defaultFolder() else {
            throw ToolError(
                .configuration, "no schemas are installed: name their folder with the option folder or TGPIPE_SCHEMAS")
        }
        self.refusesUnknown = refusesUnknown
        do throws(SchemaError) { schemas = try SchemaSet(folder: folder) } catch {
            throw ToolError(error.exitStatus, error.message)
        }
    }

    func judge(lines events: [ScannedEvent], into verdicts: inout [Verdict]) {
        for event in events { verdicts.append(judge(event)) }
    }

    private func judge(_ event: ScannedEvent) -> Verdict {
        let (type, version) = (event.type, event.version)
        if refusesUnknown, !schemas.knows(type, version: version) {
            return .refuse(MalformedInput(.unknownType, "no schema for \(type) version \(version)"))
        }
        let fault = event.line.withBytes { schemas.fault(of: $0, type: type, version: version) }
        return fault.map { .refuse($0) } ?? .forward
    }
}
