@testable import Accounts
import JSON
import Logging
import MTProto
import Synchronization
import TL
import TestSupport
import Testing

/// Provides clients of the emulator, with sessions in a temporary folder.
struct AtWork: Sendable {
    let emulator: MTProtoEmulator
    let folder: TemporaryFolder
    let store: SessionStore

    init(_ emulator: MTProtoEmulator) throws {
        self.emulator = emulator
        folder = try TemporaryFolder()
        store = SessionStore(folder: folder("sessions"))
    }

    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    func place(_ name: String = "alice") -> NamedSession {
        NamedSession(name, store, floods: LocalFloodLedger(), log: log)
    }

    static let schema = Result { try TLSchema() }

    var settings: AccountSettings {
        get throws {
            var settings = AccountSettings(
                schema: try AtWork.schema.get(), layer: 229, apiID: emulator.apiID,
                apiHash: "0123456789abcdef0123456789abcdef")
            settings.serverKey = try ServerKey(pem: emulator.publicKey)
            for number in 1...3 {
                let address = emulator.address(number)
                settings.servers[number] = [ServerAddress(address.host, address.port)]
            }
            return settings
        }
    }

    /// Keeps a session in which Alice is logged in.
    func logIn(as name: String = "alice", dataCenter: Int = 2) async throws -> AccountSession {
        let digits = Array(try await emulator.authorizationKey(dataCenter: dataCenter))
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
        guard let key = AuthKey(bytes) else { throw AccountError(.unexpectedAnswer, "no key") }
        let session = AccountSession(dataCenter: dataCenter, key: key)
        try store.save(session, as: name)
        return session
    }

    func client(_ name: String = "alice", floods: any FloodLedger = LocalFloodLedger()) throws -> DirectAccount {
        let keeper = SessionKeeper(try store.load(name), in: store, as: name)
        return DirectAccount(
            try settings, keeper, floods: floods, log: log)
    }

    /// Expects that no client has broken Telegram's rules.
    func expectNoViolations() async throws {
        // The first message of a session that was made elsewhere has no salt.
        let violations = try await emulator.violations().filter { $0["code"]?.int != 48 }
        #expect(violations == [], "\(JSON.array(violations).text)")
    }

    /// Runs Alice's client while `body` does.
    func whileAlice<Value: Sendable>(
        _ body: @escaping @Sendable (DirectAccount) async throws -> Value
    ) async throws -> Value {
        _ = try await logIn()
        let client = try client()
        return try await client.whileRunning { try await body(client) }
    }
}

extension Account {
    /// The id of whoever is logged in.
    func me(_ options: CallOptions = CallOptions()) async throws -> Int64? {
        let users = try await call("users.getUsers", ["id": .array([.object(["_": "inputUserSelf"])])], options)
        return try users.json().array?.first?["id"]?.int
    }
}

/// Records texts.
final class Told: Sendable {
    private let said = Mutex<[String]>([])

    var words: [String] { said.withLock { $0 } }

    func add(_ word: String) { said.withLock { $0.append(word) } }
}
