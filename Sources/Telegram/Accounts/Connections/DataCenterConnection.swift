import JSON
import MTProto
import System
import TL

/// A connection to one data centre that is kept up until it is stopped.
struct DataCenterConnection: Sendable {
    /// The use of a connection, which decides how its events are handled.
    enum Purpose: Sendable, Equatable {
        /// Calls and updates, in the account's home data centre.
        case main
        /// Files, and calls that belong to other data centres.
        case files
        /// Files of the content delivery network, which has no accounts.
        case cdn
    }

    let dataCenter: Int
    let purpose: Purpose
    let connection: Connection
    private let stopping = Promise<Void>()

    init(_ connection: Connection, to dataCenter: Int, _ purpose: Purpose) {
        (self.connection, self.dataCenter, self.purpose) = (connection, dataCenter, purpose)
    }

    func stop() { stopping.fulfil(.success(())) }

    /// Keeps the connection up until `stop` is called or the task is cancelled.
    ///
    /// - Throws: `MTProtoError`, a permanent failure.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.run() }
            group.addTask { try? await stopping.value() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

/// Holds the addresses of the data centres: `dc_options` of Telegram's configuration.
struct DataCenterOptions: Sendable {
    private struct Option: Sendable {
        let dataCenter: Int
        let address: ServerAddress
        let isIPv6: Bool
        let isCDN: Bool
    }

    private let options: [Option]

    /// Reads a `config`. Addresses for media alone, and those that require a secret, are left out.
    init(_ config: JSON) {
        options = (config["dc_options"]?.array ?? []).compactMap { option in
            guard let number = option["id"]?.int, (1...1000).contains(number), let host = option["ip_address"]?.string,
                let port = option["port"]?.int, (1...65535).contains(port), host.utf8.count < 256,
                option["media_only"] != true, option["tcpo_only"] != true
            else { return nil }
            return Option(
                dataCenter: Int(number), address: ServerAddress(host, Int(port)), isIPv6: option["ipv6"] == true,
                isCDN: option["cdn"] == true)
        }
    }

    func addresses(of dataCenter: Int, isIPv6: Bool, isCDN: Bool = false) -> [ServerAddress] {
        let all = options.filter { $0.dataCenter == dataCenter && $0.isCDN == isCDN }
        return (all.filter { $0.isIPv6 == isIPv6 } + all.filter { $0.isIPv6 != isIPv6 && isCDN }).map(\.address)
    }

    /// Returns one address of each data centre, to be saved.
    func best(isIPv6: Bool) -> [Int: ServerAddress] {
        options.filter { !$0.isCDN && $0.isIPv6 == isIPv6 }.reduce(into: [:]) { best, option in
            best[option.dataCenter] = best[option.dataCenter] ?? option.address
        }
    }
}

extension Connection {
    /// Calls a method for this client's own use, and returns the parsed result.
    ///
    /// - Throws: `TelegramRPCError`, `MTProtoError`, `TLError`.
    func ask(
        _ schema: TLSchema, _ method: String, _ parameters: JSONObject = [:], within patience: Duration = .seconds(30)
    ) async throws -> JSON {
        let request = try schema.request(method, .object(parameters))
        let answer = try await call(request.bytes, within: patience)
        return try JSON(parsing: TLDecoder(schema).json(of: answer, as: request.result))
    }
}
