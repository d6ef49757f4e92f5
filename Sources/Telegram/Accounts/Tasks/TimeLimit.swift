/// Runs `body`, and cancels it when the limit is over.
///
/// - Throws: `AccountError`, `timedOut`, with `message`, if the limit is over.
func within<Value: Sendable>(
    _ limit: Duration, _ message: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw AccountError(.timedOut, message)
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
