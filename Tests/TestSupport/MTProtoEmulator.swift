package import JSON

/// Runs the emulated Telegram with data centres. Its account Alice has no password and belongs to data centre 2.
package struct MTProtoEmulator: Sendable {
    package static let alice: Int64 = 42
    package let server: PythonServer
    /// The servers' public key in PEM.
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

    /// Uses an emulator that was started with other accounts.
    package init(_ server: PythonServer) async throws {
        self.server = server
        about = try await server.call("GET", "/control/mtproto")
        publicKey = about["public_key"]?.string ?? ""
        apiID = Int(about["api_id"]?.int ?? 0)
    }

    /// Returns the address of a data centre.
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

    /// Returns the authorisation key, in hexadecimal digits, of an account that is already logged in.
    package func authorizationKey(of account: Int64 = MTProtoEmulator.alice, dataCenter: Int = 2) async throws -> String
    {
        let answer = try await control("session", ["account": .integer(account), "dc": .integer(Int64(dataCenter))])
        return answer["auth_key"]?.string ?? ""
    }

    /// Sends a message to Alice from Bob, whose id is 77.
    package func write(_ text: String) async throws {
        let bob: JSON = .object(["id": 77, "first_name": "Bob", "username": "bobby"])
        try await server.call(
            "POST", "/control/message",
            .object(["account": .integer(MTProtoEmulator.alice), "chat_id": 77, "from": bob, "text": .string(text)]))
    }

    /// Returns the clients' protocol violations.
    package func violations() async throws -> [JSON] {
        try await server.call("GET", "/control/mtproto/log")["violations"]?.array ?? []
    }

    /// Returns the calls of a method, in order.
    package func calls(_ method: String) async throws -> [JSON] {
        try await server.call("GET", "/control/mtproto/log?method=\(method)")["calls"]?.array ?? []
    }

    /// Returns the state of an account and of its sessions.
    package func account(_ id: Int64 = MTProtoEmulator.alice) async throws -> JSON {
        try await server.call("GET", "/control/mtproto/account/\(id)")
    }

    /// Makes the emulator spoil its next messages of this kind, for any client.
    package func beHostile(_ kind: String, times: Int64 = 1) async throws {
        try await control("hostile", ["kind": .string(kind), "times": .integer(times)])
    }
}
