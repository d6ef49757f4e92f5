import System
import Synchronization

/// Tells blocking code, which has no task, that nobody waits for it any more.
final class Cancellation: Sendable {
    private let isSet = Atomic<Bool>(false)

    func set() { isSet.store(true, ordering: .relaxed) }

    func check() throws(BlobError) {
        guard !isSet.load(ordering: .relaxed) else { throw BlobError(.cancelled, "cancelled") }
    }
}

/// Runs blocking code on a thread of its own; cancelling the task sets the code's cancellation, and waits for it to end.
func onOwnThread<Value: Sendable>(
    _ body: @escaping @Sendable (Cancellation) throws(BlobError) -> Value
) async throws(BlobError) -> Value {
    let cancellation = Cancellation()
    let result: Result<Value, BlobError> = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            BlockingThread.start {
                continuation.resume(returning: Result { () throws(BlobError) in try body(cancellation) })
            }
        }
    } onCancel: {
        cancellation.set()
    }
    return try result.get()
}
