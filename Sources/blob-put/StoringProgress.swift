import Blob
import Envelope
import JSON
import Payloads
import Stage
import Synchronization

/// Publishes `events.media.progress` during an upload: the first after one second, then one every three seconds.
struct StoringProgress: Sendable {
    private let fetched: MediaFetched
    private let totalBytes: Int64
    private let publisher: Publisher
    private let sent = Sent()

    private final class Sent: Sendable {
        let bytes = Atomic<Int64>(0)
    }

    init(_ fetched: MediaFetched, totalBytes: Int64, _ publisher: Publisher) {
        self.fetched = fetched
        self.totalBytes = totalBytes
        self.publisher = publisher
    }

    /// Notes how many bytes were sent.
    @Sendable func update(_ sentBytes: Int64) { sent.bytes.store(sentBytes, ordering: .relaxed) }

    /// Runs the upload, and publishes its progress until it ends.
    func publishing<Value: Sendable>(
        _ upload: @escaping @Sendable () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        let result = await withTaskGroup(of: Result<Value, BlobError>?.self) { group in
            group.addTask {
                await publishProgress()
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

    /// Publishes until its task is cancelled. A broken output ends the loop here, and ends the tool when the event itself is
    /// published.
    private func publishProgress() async {
        var last = (bytes: Int64(0), time: ContinuousClock.now)
        var interval = Duration.seconds(1)
        while (try? await Task.sleep(for: interval)) != nil {
            let now = (bytes: sent.bytes.load(ordering: .relaxed), time: ContinuousClock.now)
            let rate = Double(max(0, now.bytes - last.bytes)) / ((now.time - last.time) / .seconds(1))
            let event = Envelope.derived(progress(now.bytes, rate))
            guard (try? await publisher.publish(event)) != nil else { return }
            last = now
            interval = .seconds(3)
        }
    }

    private func progress(_ bytes: Int64, _ rate: Double) -> MediaProgress {
        var progress = MediaProgress(
            .storing, kind: fetched.kind,
            fraction: totalBytes > 0 ? Double(min(bytes, totalBytes)) / Double(totalBytes) : nil, doneBytes: bytes,
            totalBytes: totalBytes, title: fetched.metadata.description.title)
        progress.bytesPerSecond = JSONNumber(Int64(rate))
        return progress
    }
}
