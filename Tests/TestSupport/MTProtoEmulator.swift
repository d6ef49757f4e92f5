package import JSON

/// The emulated Telegram with data centres for accounts: Alice, who has no password and lives in DC 2.
package struct MTProtoEmulator: Sendable {
    package static let alice: Int64 = 42
    package let server: PythonServer
    /// What the servers are known by, in PEM.
    package let publicKey: String
    package let apiID: Int
    private let about: JSON

    package init(_ arguments: String...) async throws {
        let server = try PythonServer(
            script: "emulator.py",
            [
                "--token", BotEmulator.token, "--account",
                #"{"id": 42, "phone": "15550100042", "first_name": "Alice", "username": "alice", "dc": 2}"#,
            ] + arguments)
        try await self.init(server)
    }

    /// An emulator that was started with accounts of the caller's.
    package init(_ server: PythonServer) async throws {
        self.server = server
        about = try await server.call("GET", "/control/mtproto")
        publicKey = about["public_key"]?.string ?? ""
        apiID = Int(about["api_id"]?.int ?? 0)
    }

    /// The address of a data centre.
    package func address(_ dataCenter: Int, isIPv6: Bool = false) -> (host: String, port: Int) {
        let all = about["dcs"]?["\(dataCenter)"]?.array ?? []
        let found = all.first { ($0["host"]?.string ?? "").contains(":") == isIPv6 }
        return (found?["host"]?.string ?? "", Int(found?["port"]?.int ?? 0))
    }

    /// The address of the MTProxy.
    package var proxy: (host: String, port: Int) {
        (about["proxy"]?["host"]?.string ?? "", Int(about["proxy"]?["port"]?.int ?? 0))
    }

    @discardableResult
    package func control(_ path: String, _ body: JSONObject = [:]) async throws -> JSON {
        try await server.call("POST", "/control/mtproto/\(path)", .object(body))
    }

    /// The authorization key, in hexadecimal digits, of an account that is logged in already.
    package func authorizationKey(of account: Int64 = MTProtoEmulator.alice, dataCenter: Int = 2) async throws -> String
    {
        let answer = try await control("session", ["account": .integer(account), "dc": .integer(Int64(dataCenter))])
        return answer["auth_key"]?.string ?? ""
    }

    /// Writes to Alice as Bob, whose id is 77.
    package func write(_ text: String) async throws {
        let bob: JSON = .object(["id": 77, "first_name": "Bob", "username": "bobby"])
        try await server.call(
            "POST", "/control/message",
            .object(["account": .integer(MTProtoEmulator.alice), "chat_id": 77, "from": bob, "text": .string(text)]))
    }

    /// What clients did that Telegram would not put up with.
    package func violations() async throws -> [JSON] {
        try await server.call("GET", "/control/mtproto/log")["violations"]?.array ?? []
    }

    /// Calls of a method, in order.
    package func calls(_ method: String) async throws -> [JSON] {
        try await server.call("GET", "/control/mtproto/log?method=\(method)")["calls"]?.array ?? []
    }

    /// The state of an account and of its sessions.
    package func account(_ id: Int64 = MTProtoEmulator.alice) async throws -> JSON {
        try await server.call("GET", "/control/mtproto/account/\(id)")
    }

    /// The next things so spoilt are sent to whoever comes.
    package func beHostile(_ kind: String, times: Int64 = 1) async throws {
        try await control("hostile", ["kind": .string(kind), "times": .integer(times)])
    }
}
