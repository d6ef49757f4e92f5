import Envelope
import TL
import TestSupport
import Testing

@testable import MTProto

/// A connection to the emulator, in use.
struct Talk {
    static let schema = Result { try TLSchema() }

    let connection: Connection

    static func settings(_ emulator: MTProtoEmulator, dataCenter: Int = 2, isIPv6: Bool = false) throws
        -> ConnectionSettings
    {
        let address = emulator.address(dataCenter, isIPv6: isIPv6)
        var settings = ConnectionSettings(
            addresses: [ServerAddress(address.host, address.port)], dataCenter: dataCenter)
        settings.serverKeys = [try ServerKey(pem: emulator.publicKey)]
        settings.client = ClientDescription(
            layer: 229, apiID: emulator.apiID, deviceModel: "test", systemVersion: "1", appVersion: "1")
        return settings
    }

    /// Runs a connection while `body` does, and ends it.
    static func over<Value: Sendable>(
        _ settings: ConnectionSettings, _ body: @escaping @Sendable (Talk) async throws -> Value
    ) async throws -> Value {
        let talk = Talk(connection: try await Connection(settings))
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await talk.connection.run()
                return nil
            }
            group.addTask { try await body(talk) }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Calls a method, and decodes its result.
    func call(_ method: String, _ arguments: JSON = .object([:]), within patience: Duration = .seconds(30)) async throws
        -> JSON
    {
        let schema = try Talk.schema.get()
        let request = try schema.request(method, arguments)
        let answer = try await connection.call(request.bytes, within: patience)
        return try JSON(parsing: TLDecoder(schema).json(of: answer, as: request.result))
    }

    /// A call that everybody may make, and its answer.
    func askForDataCenter() async throws -> Int64? { try await call("help.getNearestDc")["this_dc"]?.int }
}
