import Synchronization

/// Keeps the tasks that wait for work, so that a change wakes only those for which there is work.
final class IdleTasks: Sendable {
    private struct Waiter {
        let number: Int
        let member: MemberID
        let continuation: CheckedContinuation<Assignment?, Never>
    }

    private struct State {
        var waiters: [Waiter] = []
        var lastNumber = 0
    }

    private let state = Mutex(State())

    /// The members with waiting tasks, each once.
    var members: [MemberID] {
        state.withLock { state in
            state.waiters.reduce(into: []) { if !$0.contains($1.member) { $0.append($1.member) } }
        }
    }

    /// Waits for work. The wait has begun when the caller's actor can do something else.
    ///
    /// - Returns: nil if the wait was ended without work, or the task was cancelled.
    func wait(as member: MemberID, isolation: isolated (any Actor)? = #isolation) async -> Assignment? {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiters.append(Waiter(number: number, member: member, continuation: continuation))
                    return false
                }
                if isOver { continuation.resume(returning: nil) }
            }
        } onCancel: {
            resume(with: nil) { $0.number == number }
        }
    }

    /// Gives work to a waiting task of its member.
    ///
    /// - Returns: false if there is none.
    func give(_ assignment: Assignment) -> Bool { resume(with: assignment) { $0.member == assignment.member } }

    /// Ends the waits of all tasks, or of those of one member.
    func end(_ member: MemberID? = nil) {
        while resume(with: nil, { member ?? $0.member == $0.member }) {}
    }

    @discardableResult
    private func resume(with assignment: Assignment?, _ isWanted: (Waiter) -> Bool) -> Bool {
        let waiter = state.withLock { state in
            state.waiters.firstIndex(where: isWanted).map { state.waiters.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: assignment)
        return waiter != nil
    }
}
