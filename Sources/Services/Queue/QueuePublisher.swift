package import Redis
import Synchronization

/// Publishes lines that do not come from a queue.
///
/// A publication is carried out once, also if it is repeated because the connection was lost before its answer arrived.
package final class QueuePublisher: Sendable {
    /// Identifies one set of lines; a repetition uses the same publication.
    package struct Publication: Sendable {
        fileprivate let number: Int64
    }

    private struct State {
        var last: Int64 = 0
        var underWay: Set<Int64> = []
    }

    package let outputs: QueueOutputs
    private let redis: Redis
    private let doneKey: String
    private let state = Mutex(State())

    /// - Parameter name: a name that is unique among all publishers.
    package init(_ outputs: QueueOutputs, redis: Redis, name: String) {
        self.outputs = outputs
        self.redis = redis
        doneKey = "\(QueueName.keyPrefix)publisher:\(name)"
    }

    /// Registers the queues, and checks them before anything is published.
    package func open() async throws {
        for queue in outputs.queues {
            do throws(RedisError) {
                try await redis.send("SADD", .text(QueueName.namesKey), .text(queue.text))
                try await redis.send("XLEN", .text(queue.streamKey))
            } catch {
                throw queue.explained(error)
            }
        }
    }

    /// Begins a publication. The caller ends it.
    package func begin() -> Publication {
        state.withLock { state in
            state.last += 1
            state.underWay.insert(state.last)
            return Publication(number: state.last)
        }
    }

    /// Ends a publication that is done or given up.
    package func end(_ publication: Publication) {
        _ = state.withLock { $0.underWay.remove(publication.number) }
    }

    /// Publishes any number of lines in order, in as many steps as needed. The keys are set together with the last lines.
    ///
    /// - Parameter repeating: repeats a step until it returns true; it returns false if a queue is full.
    package func publish(
        _ lines: [QueueLine], setting: [(key: String, value: String)] = [],
        repeating: (_ step: () async throws -> Bool) async throws -> Void
    ) async throws {
        for part in lines.publications(of: outputs.mostTogether) {
            let publication = begin()
            defer { end(publication) }
            let isLast = part.endIndex == lines.endIndex
            try await repeating {
                try await publish(Array(part), setting: isLast ? setting : [], as: publication)
            }
        }
    }

    /// Publishes lines in order and sets keys, in one step.
    ///
    /// - Returns: false, with nothing done, if a queue is full.
    package func publish(
        _ lines: [QueueLine], setting: [(key: String, value: String)] = [], as publication: Publication
    ) async throws -> Bool {
        let floor = state.withLock { $0.underWay.min() ?? publication.number }
        var batch = CommandBatch()
        batch.add(lines: lines)
        let call = EncodedCall(
            keys: [doneKey] + outputs.queues.map(\.streamKey) + setting.map(\.key),
            arguments: [
                .integer(publication.number), .integer(floor), .integer(Int64(outputs.queues.count)),
                .integer(Int64(setting.count)), .integer(Int64(outputs.maxLength)),
            ] + setting.map { .text($0.value) },
            encoded: batch.encoded, encodedCount: 2 * lines.count)
        do throws(RedisError) {
            return try await redis.run(QueueScripts.publish, call).int == 1
        } catch {
            throw outputs.queues.first.map { $0.explained(error) } ?? error
        }
    }
}

extension [QueueLine] {
    /// Splits lines into parts that Redis handles in one step without delaying other clients.
    fileprivate func publications(of limit: Int) -> [ArraySlice<QueueLine>] {
        var parts: [ArraySlice<QueueLine>] = []
        var start = 0
        var bytes = 0
        for (index, line) in enumerated() {
            bytes += line.bytes.count
            guard bytes >= 1 << 20 || index + 1 - start >= limit else { continue }
            parts.append(self[start...index])
            (start, bytes) = (index + 1, 0)
        }
        if start < count { parts.append(self[start...]) }
        return parts
    }
}
