import Blob
import Envelope
import JSON
import Stage
import Synchronization

/// `events.media.progress` of an upload that takes its time: the first after a second, then one every three.
struct StoringProgress: Sendable {
    private let fetched: JSONObject
    private let totalBytes: Int64
    private let publisher: Publisher
    private let sent = Sent()

    private final class Sent: Sendable {
        let bytes = Atomic<Int64>(0)
    }

    init(_ fetched: JSONObject, totalBytes: Int64, _ publisher: Publisher) {
        self.fetched = fetched
        self.totalBytes = totalBytes
        self.publisher = publisher
    }

    @Sendable func update(_ sentBytes: Int64) { sent.bytes.store(sentBytes, ordering: .relaxed) }

    /// Runs the upload, and tells of it as long as it runs.
    func publishing<Value: Sendable>(
        _ upload: @escaping @Sendable () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        let result = await withTaskGroup(of: Result<Value, BlobError>?.self) { group in
            group.addTask {
                await tell()
                return nil
            }
            group.addTask {
                do throws(BlobError) { return .success(try await upload()) } catch { return .failure(error) }
            }
            var result: Result<Value, BlobError>?
            while let ended = await group.next() {
                if let ended {
                    result = ended
                    group.cancelAll()
                }
            }
            return result ?? .failure(BlobError(.cancelled, "cancelled"))
        }
        return try result.get()
    }

    /// Ends with its task. An output that is broken ends the tool at the event itself.
    private func tell() async {
        var last = (bytes: Int64(0), time: ContinuousClock.now)
        var pause = Duration.seconds(1)
        while (try? await Task.sleep(for: pause)) != nil {
            let now = (bytes: sent.bytes.load(ordering: .relaxed), time: ContinuousClock.now)
            let rate = Double(max(0, now.bytes - last.bytes)) / ((now.time - last.time) / .seconds(1))
            let event = Envelope.derived(type: "events.media.progress", payload: payload(now.bytes, rate))
            guard (try? await publisher.publish(event)) != nil else { return }
            last = now
            pause = .seconds(3)
        }
    }

    private func payload(_ bytes: Int64, _ rate: Double) -> JSONObject {
        [
            "kind": fetched["kind"], "state": "storing",
            "fraction": totalBytes > 0 ? .number(Double(min(bytes, totalBytes)) / Double(totalBytes)) : nil,
            "done_bytes": .integer(bytes), "total_bytes": .integer(totalBytes),
            "rate_bytes_per_second": .integer(Int64(rate)), "title": fetched["title"],
        ]
    }
}
