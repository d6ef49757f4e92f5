import System

/// Lets threads wait for what only tasks can do: Redis, that is.
final class TaskBridge: Sendable {
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let continuation: AsyncStream<@Sendable () async -> Void>.Continuation

    init() { (jobs, continuation) = AsyncStream.makeStream() }

    /// Does what threads wait for, until `close`.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
    }

    func close() { continuation.finish() }

    /// Runs `body` as a task, and blocks until it is done.
    func wait<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Monitor<Result<Value, any Error>?>(nil)
        let accepted = continuation.yield {
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.update { $0 = result }
        }
        if case .terminated = accepted { throw CancellationError() }
        return try outcome.wait { $0 }?.get() ?? { throw CancellationError() }()
    }

    /// As `wait`, for those who end the tool when it fails.
    func stageWait<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) throws(ToolError) -> Value {
        do { return try wait(body) } catch let error as any ReportableError {
            throw ToolError(error.exitStatus, error.message)
        } catch is CancellationError {
            throw ToolError(.unavailable, "given up")
        } catch {
            throw ToolError(.bug, "unexpected failure: \(error)")
        }
    }
}
