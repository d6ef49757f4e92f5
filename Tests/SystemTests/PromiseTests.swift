import System
import Testing

@Suite(.timeLimit(.minutes(1))) struct PromiseTests {
    private struct Failure: Error {}

    @Test func `All waiting tasks receive the first result`() async throws {
        let promise = Promise<Int>()
        let waiters = (0..<10).map { _ in Task { try await promise.value() } }
        promise.fulfil(.success(1))
        promise.fulfil(.success(2))
        for waiter in waiters { #expect(try await waiter.value == 1) }
        #expect(try await promise.value() == 1)
        #expect(try promise.result?.get() == 1)
    }

    @Test func `A failure is thrown`() async {
        let promise = Promise<Int>()
        #expect(promise.result == nil)
        promise.fulfil(.failure(Failure()))
        await #expect(throws: Failure.self) { try await promise.value() }
    }

    @Test func `A cancelled task stops waiting, and the others go on`() async throws {
        let promise = Promise<Int>()
        let (cancelled, other) = (Task { try await promise.value() }, Task { try await promise.value() })
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        promise.fulfil(.success(3))
        #expect(try await other.value == 3)
    }
}
