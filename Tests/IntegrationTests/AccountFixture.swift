import Envelope
import Foundation
import TestSupport

/// Alice at the emulator, in whose account tools are logged in with the session `alice`.
struct AccountFixture: Sendable {
    let emulator: MTProtoEmulator
    let folder: TemporaryFolder
    static let name = "alice"

    init(_ arguments: String...) async throws {
        emulator = try await MTProtoEmulator()
        folder = try TemporaryFolder()
        try await logIn()
    }

    /// Makes the session, for tools that have `folder`.
    func logIn(as name: String = AccountFixture.name, account: Int64 = MTProtoEmulator.alice) async throws {
        let digits = Array(try await emulator.authorizationKey(of: account))
        let key = Data(
            stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) })
        let sessions = folder("state/sessions")
        try FileManager.default.createDirectory(
            atPath: sessions, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let session = JSON.object([
            "version": 1, "dc": 2, "test": false, "user_id": .integer(account), "bot": false,
            "keys": ["2": .string(key.base64EncodedString())], "addresses": [:],
        ])
        _ = FileManager.default.createFile(
            atPath: "\(sessions)/\(name).session.json", contents: Data(session.bytes + [10]),
            attributes: [.posixPermissions: 0o600])
        try emulator.publicKey.write(toFile: folder("server.pem"), atomically: true, encoding: .utf8)
    }

    /// What tools need in their environment to find the emulator.
    var environment: [String: String] {
        let servers = (1...3).map { number in
            let address = emulator.address(number)
            return "\(number)=\(address.host):\(address.port)"
        }
        return [
            "TG_API_ID": "\(emulator.apiID)", "TG_API_HASH": "0123456789abcdef0123456789abcdef",
            "TG_SERVERS": servers.joined(separator: " "), "TG_SERVER_KEY": folder("server.pem"),
        ]
    }

    /// Orders the emulator to do something with Alice's account.
    @discardableResult
    func control(_ path: String, _ order: JSONObject = [:]) async throws -> JSON {
        var order = order
        order["account"] = .integer(MTProtoEmulator.alice)
        return try await emulator.server.call("POST", "/control/\(path)", .object(order))
    }

    /// Changes what the emulator does where it has a choice.
    func habits(_ habits: JSONObject) async throws { try await emulator.control("habits", habits) }

    /// What tools did that Telegram would not put up with. The first message of a session that was made elsewhere has no salt.
    func violations() async throws -> [JSON] { try await emulator.violations().filter { $0["code"]?.int != 48 } }
}
