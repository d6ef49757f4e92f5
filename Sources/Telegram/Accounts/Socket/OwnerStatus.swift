import JSON

/// An owner's answer to `status`: its process, its account and its settings.
struct OwnerStatus: Sendable, Equatable {
    private enum Key {
        static let name = "name"
        static let pid = "pid"
        static let userID = "user_id"
        static let isBot = "bot"
        static let dataCenter = "dc"
        static let isTest = "test"
        static let layer = "layer"
        static let version = "version"
        static let schema = "schema"
    }

    /// The session's name.
    var name: String
    var pid: Int64
    var userID: Int64
    var isBot: Bool
    var dataCenter: Int64
    var isTest: Bool
    /// The layer of the owner's schema.
    var layer: Int64
    /// The owner's version of tgpipe.
    var version: String
    /// The path of the schema that the owner was started with; nil for one of tgpipe's own.
    var schemaPath: String?

    var json: JSON {
        .object([
            Key.name: .string(name), Key.pid: .integer(pid), Key.userID: .integer(userID), Key.isBot: .bool(isBot),
            Key.dataCenter: .integer(dataCenter), Key.isTest: .bool(isTest), Key.layer: .integer(layer),
            Key.version: .string(version), Key.schema: schemaPath.map { .string($0) },
        ])
    }
}

extension OwnerStatus {
    /// - Throws: `AccountError`, `socketProtocol`, if a value other than the schema's path is missing or wrong.
    init(_ json: JSON) throws(AccountError) {
        guard let name = json[Key.name]?.string, let pid = json[Key.pid]?.int, let userID = json[Key.userID]?.int,
            let isBot = json[Key.isBot]?.bool, let dataCenter = json[Key.dataCenter]?.int,
            let isTest = json[Key.isTest]?.bool, let layer = json[Key.layer]?.int,
            let version = json[Key.version]?.string
        else { throw AccountError(.socketProtocol, "the session's owner sent a status that lacks values: restart it") }
        self.init(
            name: name, pid: pid, userID: userID, isBot: isBot, dataCenter: dataCenter, isTest: isTest, layer: layer,
            version: version, schemaPath: json[Key.schema]?.string)
    }
}
