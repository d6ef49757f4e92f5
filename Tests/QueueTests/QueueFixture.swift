import Queue
import Redis
import System
import TestSupport

/// A Redis of its own, and what the tests do with queues in it.
struct QueueFixture {
    let server: RedisServer
    let redis: Redis
    let queue: QueueName

    init(_ configuration: [String] = []) throws {
        server = try RedisServer(configuration: configuration)
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
        queue = try QueueName("jobs")
    }

    var admin: QueueAdmin { QueueAdmin(queue, redis: redis) }

    func consumer(
        _ worker: String, group: String = "workers", lease: Duration = .seconds(30), order: QueueOrder? = nil
    ) async throws -> QueueConsumer {
        var settings = QueueConsumer.Settings(group: group, worker: worker)
        settings.lease = lease
        settings.order = order
        let waiting = Redis(redis.address, clientName: "test")
        let consumer = try QueueConsumer(queue, redis: redis, waiting: waiting, settings: settings)
        try await consumer.open()
        return consumer
    }

    func publisher(_ name: String = "test", to queue: QueueName? = nil, maxLength: Int = 1000) -> QueuePublisher {
        QueuePublisher(QueueOutputs([queue ?? self.queue], maxLength: maxLength), redis: redis, name: name)
    }

    @discardableResult
    func push(_ lines: String..., to queue: QueueName? = nil) async throws -> Bool {
        let publisher = publisher("push", to: queue)
        _ = try await redis.send("DEL", "tgpipe:{queues}:publisher:push")
        return try await publisher.publish(lines.map(line), as: publisher.begin())
    }

    func line(_ text: String) -> QueueLine { QueueLine(Array(text.utf8)[...]) }

    /// The lines that a queue holds.
    func lines(in queue: QueueName) async throws -> [String] {
        try await QueueAdmin(queue, redis: redis).entries(dead: false, limit: 1000).map {
            String(decoding: $0.line, as: UTF8.self)
        }
    }
}

extension QueueConsumer {
    /// Returns the entries that a worker can take now.
    func takeNow(_ limit: Int = 10, isIdle: Bool = true) async throws -> [TakenEntry] {
        switch try await take(limit: limit, isIdle: isIdle) {
        case .taken(let taken): taken.entries
        case .nothing: []
        }
    }

    /// Waits for the next entry.
    func takeOne() async throws -> TakenEntry {
        while true {
            switch try await take(limit: 1, isIdle: true) {
            case .taken(let taken): if let entry = taken.entries.first { return entry }
            case .nothing(let lull): try await waitForNews(lull, atMost: .seconds(10))
            }
        }
    }
}

extension TakenEntry {
    var text: String { String(decoding: line, as: UTF8.self) }
}
