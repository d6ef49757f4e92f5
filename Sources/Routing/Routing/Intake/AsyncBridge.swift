import System

/// Runs asynchronous work, such as calls to Redis, for threads that wait for its result.
final class AsyncBridge: Sendable {
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let continuation: AsyncStream<@Sendable () async -> Void>.Continuation

    init() { (jobs, continuation) = AsyncStream.makeStream() }

    /// Runs the jobs of waiting threads until `close` is called or the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
    }

    func close() { continuation.finish() }

    /// Runs `body` as a task, and blocks the calling thread until it is done.
    ///
    /// - Throws: the error of `body`; `CancellationError` after `close`.
    private func wait<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Monitor<Result<Value, any Error>?>(nil)
        let accepted = continuation.yield {
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.update { $0 = result }
        }
        if case .terminated = accepted { throw CancellationError() }
        return try outcome.wait { $0 }?.get() ?? { throw CancellationError() }()
    }

    /// Runs `body` as a task, and blocks the calling thread until it is done. Every failure ends the tool.
    func waitOrFail<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) throws(ToolError) -> Value {
        do { return try wait(body) } catch let error as any ReportableError {
            throw ToolError(error.exitStatus, error.message)
        } catch is CancellationError {
            throw ToolError(.unavailable, "the work was cancelled because the tool is ending")
        } catch {
            throw ToolError(.bug, "unexpected failure: \(error)")
        }
    }
}
