package import JSON
import NIOCore
import Synchronization
import System
package import TL

/// An account that another process owns, spoken to over its socket.
///
/// Somebody must be in `run` all the time. When the owner ends, calls wait for the next one up to their deadline.
package final class RemoteAccount: Account {
    package let schema: TLSchema
    private let path: String
    private let identity = Mutex((userID: Int64(0), isBot: false))
    private let hub = EventHub()
    private let desk = PendingRequests()
    /// How often listening has begun: nil until somebody wants to.
    private let listenings = Mutex<Int?>(nil)

    /// - Parameter schema: that of the owner, as its `status` tells.
    init(_ path: String, schema: TLSchema) { (self.path, self.schema) = (path, schema) }

    package var userID: Int64 { identity.withLock { $0.userID } }
    package var isBot: Bool { identity.withLock { $0.isBot } }

    /// Learns who the account is.
    ///
    /// - Throws: `AccountError`, `configuration`, when the owner speaks another layer.
    func start() async throws {
        let status = try await status()
        identity.withLock { $0 = (status["user_id"]?.int ?? 0, status["bot"] == true) }
        if let layer = status["layer"]?.int, let own = schema.layer, layer != Int64(own) {
            throw AccountError(
                .configuration,
                "the session's owner (process \(status["pid"]?.int ?? 0)) speaks layer \(layer), not \(own): leave out --layer and --schema, or start the owner with them"
            )
        }
    }

    func status() async throws -> JSON { try await ask(["status": true], within: .seconds(10)) }

    // MARK: Requests

    package func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> [UInt8] {
        var request: JSONObject = [
            "method": .string(method), "params": .object(parameters), "deadline": .number(options.deadline.seconds),
        ]
        if options.longestWait > .zero { request["longest_wait"] = .number(options.longestWait.seconds) }
        // Whether a call was carried out when its owner died is not known. Those that change nothing, and those that Telegram knows
        // again by their random number, may be made twice.
        let isRepeatable =
            parameters["random_id"] != nil || method.split(separator: ".").last?.hasPrefix("get") == true
        let limit = options.deadline + options.longestWait + .seconds(5)
        return try await desk.ask(request, within: limit, isRepeatable: isRepeatable) { line in
            if line.key == "waiting", let wait = line.json.flatMap(FloodWait.init(json:)) { options.onWait?(wait) }
        }
    }

    package func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON {
        let upload: JSON = .object(["path": .string(absolutePath(path)), "key": .string(key)])
        return try await transfer(["upload": upload], onProgress)
    }

    package func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {
        var download = file.json
        download["path"] = .string(absolutePath(path))
        _ = try await transfer(["download": .object(download)], onProgress)
    }

    /// A file may take long; what it must not do is stand still, which the owner sees to.
    private func transfer(_ request: JSONObject, _ onProgress: @escaping TransferProgress) async throws -> JSON {
        let text = try await desk.ask(request, within: .seconds(86_400), isRepeatable: true) { line in
            if line.key == "progress", let bytes = line.json?.int { onProgress(bytes) }
        }
        return try JSON(parsing: text)
    }

    package func peer(_ id: Int64) async throws -> JSON? {
        let answer = try await ask(["peer": .integer(id)], within: .seconds(30))
        return answer.isNull ? nil : answer
    }

    private func ask(_ request: JSONObject, within limit: Duration) async throws -> JSON {
        try JSON(parsing: await desk.ask(request, within: limit, isRepeatable: true) { _ in })
    }

    // MARK: Events

    package func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        let events = try hub.listen()
        let isFirst = listenings.withLock { count in
            defer { count = count ?? 0 }
            return count == nil
        }
        if isFirst { listen() }
        return events
    }

    /// On this connection, if there is one, and each that follows.
    private func listen() {
        desk.keepAsking(["events": true]) { [hub, weak self] line in
            switch line.key {
            case "result":
                let isFirst = self?.listenings.withLock { count in
                    count = (count ?? 0) + 1
                    return count == 1
                }
                // What happened between two connections was told to nobody.
                if isFirst == false { hub.add(.gap) }
            case "event": if let event = line.event { hub.add(event) }
            case "error":
                // That the owner ends is no reason to; what Telegram says is.
                let error = ErrorCoding.decode(line.json ?? .null)
                if (error as? AccountError)?.code != .ownerGone { hub.end(error) }
            default: break
            }
        }
    }

    // MARK: The connection

    /// Connects, and connects again, until the task is cancelled.
    func run() async {
        var backoff = Backoff(first: .milliseconds(20), longest: .seconds(1))
        while !Task.isCancelled {
            do {
                let channel = try await OwnerSocket.connect(to: path)
                try await channel.executeThenClose { inbound, outbound in try await converse(inbound, outbound) }
            } catch {}
            // One that answers nothing, or turns clients away, is not to be asked all the time.
            if desk.disconnected() { backoff.reset() }
            if Task.isCancelled { break }
            hub.add(.waiting("the session's owner is gone: waiting for the next (tg-session run)"))
            try? await Task.sleep(for: backoff.next())
        }
        desk.close()
        hub.end(nil)
    }

    private func converse(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws {
        let (unsent, sending) = AsyncStream.makeStream(of: ByteBuffer.self)
        desk.connected { sending.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await line in unsent { try await outbound.write(line) } }
            group.addTask {
                var lines = SocketLines(maxLineBytes: OwnerSocket.maxAnswerBytes)
                for try await buffer in inbound {
                    for line in try lines.take(buffer) { self.desk.take(line) }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

extension FloodWait {
    init?(json: JSON) {
        guard let method = json["method"]?.string, let seconds = json["seconds"]?.double, seconds >= 0, seconds < 1e8,
            let reason = json["reason"]?.string
        else { return nil }
        self.init(method: method, remaining: .seconds(seconds), reason: reason)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
