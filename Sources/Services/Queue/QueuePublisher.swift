package import Redis
import Synchronization

/// Publishes lines that come from no queue.
///
/// A publication that has to be repeated, because the connection was lost before its answer came, is carried out once.
package final class QueuePublisher: Sendable {
    /// One set of lines on its way; repeat it with the same.
    package struct Publication: Sendable {
        let number: Int64
    }

    private struct State {
        var last: Int64 = 0
        var underWay: Set<Int64> = []
    }

    package let outputs: QueueOutputs
    private let redis: Redis
    private let doneKey: String
    private let state = Mutex(State())

    /// - Parameter name: unlike that of any other publisher.
    package init(_ outputs: QueueOutputs, redis: Redis, name: String) {
        self.outputs = outputs
        self.redis = redis
        doneKey = "\(QueueName.keyPrefix)publisher:\(name)"
    }

    /// Makes the queues known; tells what is wrong with them before anything is published.
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

    package func begin() -> Publication {
        state.withLock { state in
            state.last += 1
            state.underWay.insert(state.last)
            return Publication(number: state.last)
        }
    }

    /// To be called when a publication is done with, in whatever way.
    package func end(_ publication: Publication) {
        _ = state.withLock { $0.underWay.remove(publication.number) }
    }

    /// Publishes lines in their order, and sets keys: one step.
    ///
    /// - Returns: false when a queue is full, and nothing was done.
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
