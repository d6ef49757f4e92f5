import Envelope
import JSON
import JSONSchema
import System

/// Refuses events that are not as their schema says.
final class SchemaCheck: Middleware {
    private let schemas: SchemaSet
    private let refusesUnknown: Bool

    /// - Parameter folder: nil: the installation's.
    init(folder: String?, refusesUnknown: Bool) throws(ToolError) {
        guard let folder = folder ?? SchemaSet.defaultFolder() else {
            throw ToolError(
                .configuration, "no folder of schemas is installed: name one, as folder or in TGPIPE_SCHEMAS")
        }
        self.refusesUnknown = refusesUnknown
        do throws(SchemaError) { schemas = try SchemaSet(folder: folder) } catch {
            throw ToolError(error.exitStatus, error.message)
        }
    }

    func judge(_ events: [PassingEvent]) -> [Verdict] { events.map(judge) }

    private func judge(_ event: PassingEvent) -> Verdict {
        let (type, version) = (event.envelope.type, event.envelope.version)
        if refusesUnknown, !schemas.knows(type, version: version) {
            return .refuse(MalformedInput(.unknownType, "no schema for \(type) version \(version)"))
        }
        return schemas.fault(of: event.line, type: type, version: version).map { .refuse($0) } ?? .pass
    }
}
