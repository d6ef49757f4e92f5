package import JSON
import NIOCore
import Synchronization
import System
package import TL

/// An account that another process owns, reached through that process's socket.
///
/// `run` must be running while the account is used. When the owner ends, calls wait for the next owner up to their
/// deadline.
package final class RemoteAccount: Account {
    private let path: String
    private let knownSchema: Mutex<TLSchema?>
    private let identity = Mutex((userID: Int64(0), isBot: false))
    private let hub = EventHub()
    private let requests = PendingRequests()
    /// The number of times that the owner has confirmed the subscription to events; nil before the first listener.
    private let confirmations = Mutex<Int?>(nil)

    /// - Parameter schema: nil for the owner's schema, which `start` finds out.
    init(_ path: String, schema: TLSchema? = nil) {
        self.path = path
        knownSchema = Mutex(schema)
    }

    /// The schema of the account's values. Without one of its own, `start` must have returned.
    package var schema: TLSchema {
        guard let schema = knownSchema.withLock({ $0 }) else {
            preconditionFailure("the schema of an account is used before its owner has named it")
        }
        return schema
    }

    package var userID: Int64 { identity.withLock { $0.userID } }
    package var isBot: Bool { identity.withLock { $0.isBot } }

    /// Requests the account's identity, and the name of the owner's schema.
    ///
    /// - Throws: `AccountError`, `configuration`, if the owner uses another layer; `TLError`, if its schema cannot be used.
    func start() async throws {
        // Reading a schema takes as long as connecting; the one that most owners have is read meanwhile.
        async let ready: Void = readUsualSchema()
        let status = try OwnerStatus(await status())
        await ready
        identity.withLock { $0 = (status.userID, status.isBot) }
        try knownSchema.withLock { if $0 == nil { $0 = try status.schema() } }
        if let own = schema.layer, status.layer != Int64(own) {
            throw AccountError(
                .configuration,
                "the session's owner (process \(status.pid)) uses layer \(status.layer), not \(own): omit --layer and --schema, or start the owner with them"
            )
        }
    }

    private func readUsualSchema() async {
        guard knownSchema.withLock({ $0 }) == nil else { return }
        _ = try? TLSchema.shared(layer: TLSchema.layers[0])
    }

    func status() async throws -> JSON { try await ask(.status, within: .seconds(10)) }

    // MARK: Requests

    package func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue {
        let request = OwnerRequest(
            .call(method, parameters), deadline: options.deadline, longestWait: options.longestWait)
        // If the owner dies, it is unknown whether the call was carried out. Two kinds of call may be repeated: those
        // that change nothing, and those with a random_id, by which Telegram recognises a repetition.
        let isRepeatable =
            parameters["random_id"] != nil || method.split(separator: ".").last?.hasPrefix("get") == true
        let limit = options.deadline + options.longestWait + .seconds(5)
        let text = try await requests.ask(request, within: limit, isRepeatable: isRepeatable) { line in
            if line.key == "waiting", let wait = line.json.flatMap(FloodWait.init(json:)) { options.onWait?(wait) }
        }
        return TLValue(text: text)
    }

    package func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON {
        try await transfer(.upload(path: absolutePath(path), key: key), onProgress)
    }

    package func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {
        _ = try await transfer(.download(file, path: absolutePath(path)), onProgress)
    }

    /// A transfer may take long. The owner ends one that makes no progress.
    private func transfer(_ kind: OwnerRequest.Kind, _ onProgress: @escaping TransferProgress) async throws -> JSON {
        let text = try await requests.ask(OwnerRequest(kind), within: .seconds(86_400), isRepeatable: true) { line in
            if line.key == "progress", let bytes = line.json?.int { onProgress(bytes) }
        }
        return try JSON(parsing: text)
    }

    package func peer(_ id: Int64) async throws -> JSON? {
        let answer = try await ask(.peer(id), within: .seconds(30))
        return answer.isNull ? nil : answer
    }

    package func sentByProgram(_ message: JSON) async throws -> Bool {
        do {
            return try await ask(.sentByProgram(message), within: .seconds(60)) == true
        } catch let error as AccountError where error.code == .socketProtocol {
            throw AccountError(
                .configuration,
                "the session's owner is of an older version, which cannot tell who sent a message: restart it")
        }
    }

    private func ask(_ kind: OwnerRequest.Kind, within limit: Duration) async throws -> JSON {
        try JSON(parsing: await requests.ask(OwnerRequest(kind), within: limit, isRepeatable: true) { _ in })
    }

    // MARK: Events

    package func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        let events = try hub.listen()
        let isFirst = confirmations.withLock { count in
            defer { count = count ?? 0 }
            return count == nil
        }
        if isFirst { listen() }
        return events
    }

    /// Subscribes to the owner's events, on this connection and each later one.
    private func listen() {
        requests.subscribe(OwnerRequest(.events)) { [hub, weak self] line in
            switch line.key {
            case "result":
                let isFirst = self?.confirmations.withLock { count in
                    count = (count ?? 0) + 1
                    return count == 1
                }
                // Events between two connections were lost.
                if isFirst == false { hub.add(.gap) }
            case "event": hub.add(line.event)
            case "error":
                // The end of the owner does not end the events: the next owner continues them. An error of Telegram
                // does.
                let error = ErrorCoding.decode(line.json ?? .null)
                if (error as? AccountError)?.code != .ownerGone { hub.end(error) }
            default: break
            }
        }
    }

    // MARK: The connection

    /// Connects and reconnects until the task is cancelled.
    func run() async {
        var backoff = Backoff(first: .milliseconds(20), longest: .seconds(1))
        while !Task.isCancelled {
            do {
                let channel = try await OwnerSocket.connect(to: path)
                try await channel.executeThenClose { inbound, outbound in try await exchangeLines(inbound, outbound) }
            } catch {}
            // The back-off keeps growing while an owner answers nothing or refuses clients.
            if requests.disconnected() { backoff.reset() }
            if Task.isCancelled { break }
            hub.add(.waiting("the session's owner has ended: waiting until tg-session run is started again"))
            try? await Task.sleep(for: backoff.next())
        }
        requests.close()
        hub.end(nil)
    }

    private func exchangeLines(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws {
        let (unsent, sending) = AsyncStream.makeStream(of: ByteBuffer.self)
        requests.connected { sending.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await line in unsent { try await outbound.write(line) } }
            group.addTask {
                var lines = SocketLines(maxLineBytes: OwnerSocket.maxAnswerBytes)
                for try await buffer in inbound {
                    for line in try lines.take(buffer) { try self.requests.receive(line) }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
