import JSON
import TestSupport

/// Provides the emulator's account Alice, for tools that use the session `alice`.
struct AccountFixture: Sendable {
    let emulator: MTProtoEmulator
    let folder: TemporaryFolder
    static let name = "alice"
    private let account: AccountFolder

    init(_ arguments: String...) async throws {
        emulator = try await MTProtoEmulator()
        account = try await AccountFolder(emulator, name: AccountFixture.name)
        folder = account.folder
    }

    /// Makes the session, for tools that have `folder`.
    func logIn(as name: String = AccountFixture.name, account id: Int64 = MTProtoEmulator.alice) async throws {
        try await account.logIn(as: name, account: id)
    }

    /// The environment by which tools find the emulator.
    var environment: [String: String] { account.environment }

    /// Orders the emulator to do something with Alice's account.
    @discardableResult
    func control(_ path: String, _ order: JSONObject = [:]) async throws -> JSON {
        var order = order
        order["account"] = .integer(MTProtoEmulator.alice)
        return try await emulator.server.call("POST", "/control/\(path)", .object(order))
    }

    /// Changes what the emulator does where it has a choice.
    func habits(_ habits: JSONObject) async throws { try await emulator.control("habits", habits) }

    /// Returns the breaches of Telegram's rules that the emulator has seen. The first message of an imported session
    /// has no salt, which is allowed.
    func violations() async throws -> [JSON] { try await account.violations() }
}
