import Foundation
package import JSON

/// Provides a folder with the session of an account that is logged in at the emulator, and the settings that tools
/// need.
package struct AccountFolder: Sendable {
    package let emulator: MTProtoEmulator
    package let folder: TemporaryFolder
    package let name: String

    /// - Parameters:
    ///   - account: an account of the emulator.
    ///   - folder: the folder to use; it may contain sessions already.
    package init(
        _ emulator: MTProtoEmulator, account: Int64 = MTProtoEmulator.alice, name: String = "alice",
        dataCenter: Int = 2, folder: TemporaryFolder? = nil
    ) async throws {
        (self.emulator, self.name, self.folder) = (emulator, name, try folder ?? TemporaryFolder())
        try emulator.publicKey.write(toFile: self.folder("server.pem"), atomically: true, encoding: .utf8)
        try await logIn(as: name, account: account, dataCenter: dataCenter)
    }

    /// Creates another session, or replaces the session by one of another account.
    package func logIn(as name: String, account: Int64 = MTProtoEmulator.alice, dataCenter: Int = 2) async throws {
        let digits = Array(try await emulator.authorizationKey(of: account, dataCenter: dataCenter))
        let key = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
        let session: JSON = .object([
            "version": 1, "dc": .integer(Int64(dataCenter)), "test": false, "user_id": .integer(account),
            "bot": .bool(account == BotEmulator.botID),
            "keys": .object([String(dataCenter): .string(Base64.encode(key))]), "addresses": .object([:]),
        ])
        let sessions = folder("state/sessions")
        try FileManager.default.createDirectory(
            atPath: sessions, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = "\(sessions)/\(name).session.json"
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data(session.bytes), attributes: [.posixPermissions: 0o600])
        else { throw ToolRun.TookTooLong(description: "unable to write \(path)") }
    }

    /// The environment variables with which tools use this session.
    package var environment: [String: String] {
        let servers = (1...3).map { number in
            let address = emulator.address(number)
            return "\(number)=\(address.host):\(address.port)"
        }
        return [
            "TGPIPE_SESSION": name, "TG_API_ID": "\(emulator.apiID)", "TG_SERVERS": servers.joined(separator: " "),
            "TG_SERVER_KEY": folder("server.pem"),
        ]
    }

    /// Runs a tool as the account and waits for its end.
    package func run(
        _ tool: String, _ arguments: [String] = [], input: String = "", environment more: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        try await ToolRun.run(
            tool, arguments, input: input, environment: environment.merging(more) { $1 }, folder: folder)
    }

    /// Returns the protocol violations of the tools that the emulator recorded.
    package func violations() async throws -> [JSON] {
        // The first message of an imported session has no salt.
        try await emulator.violations().filter { $0["code"]?.int != 48 }
    }
}
