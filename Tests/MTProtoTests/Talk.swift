import JSON
import Synchronization
import TL
import TestSupport
import Testing

@testable import MTProto

/// A connection to the emulator, with the calls that the tests need.
struct Talk {
    static let schema = Result { try TLSchema() }

    let connection: Connection
    private let bob = Shared<JSON>(.null)

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

    /// Waits until the connection reports that it waits at least this long before its next attempt, and returns that pause.
    func firstPause(ofAtLeast least: Duration) async -> Duration {
        for await event in connection.events {
            if case .waiting(let pause, _) = event, pause >= least { return pause }
        }
        return .zero
    }

    /// Makes a call that needs no login, and returns its answer.
    func askForDataCenter() async throws -> Int64? { try await call("help.getNearestDc")["this_dc"]?.int }

    /// Returns the id of the logged-in user.
    func me() async throws -> Int64? {
        let users = try await call("users.getUsers", .object(["id": .array([.object(["_": "inputUserSelf"])])]))
        return users.array?.first?["id"]?.int
    }

    /// Requests the access hash that messages to Bob need.
    func resolveBob() async throws {
        let found = try await call("contacts.resolveUsername", .object(["username": "bobby"]))
        let user = found["users"]?.array?.first
        #expect(user?["id"]?.int == 77)
        bob.withLock { $0 = user?["access_hash"] ?? .null }
    }

    /// Sends a message to Bob; the server recognises a repeated message by `random`.
    func send(_ text: String, random: Int64) async throws {
        let peer: JSON = .object(["_": "inputPeerUser", "user_id": 77, "access_hash": bob.withLock { $0 }])
        _ = try await call(
            "messages.sendMessage",
            .object(["peer": peer, "message": .string(text), "random_id": .integer(random)]))
    }

    /// Sends a part of half a megabyte, as `upload.saveBigFilePart` made by hand.
    func save(part: Int, of count: Int) async throws -> Bool? {
        let request = TLBytes { writer in
            writer.word(0xde7b_673d)
            writer.long(1)
            writer.int(Int32(part))
            writer.int(Int32(count))
            writer.bytes([UInt8](repeating: UInt8(part), count: 512 << 10))
        }
        var reader = TLReader(try await connection.call(request))
        return try reader.bool()
    }
}

/// A value that several tasks share.
private final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout sending Value) -> sending Result) -> Result { value.withLock(body) }
}
