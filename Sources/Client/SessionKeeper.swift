import Accounts
import Blocking
import Synchronization

/// A session in use: what is learned about it is kept at once.
public final class SessionKeeper: Sendable {
    private struct State {
        var session: AccountSession
        /// nil: nothing is kept (yet).
        var name: String?
    }

    private let store: SessionStore
    private let state: Mutex<State>
    private let thread = BlockingThread()

    /// - Parameter name: under which it is kept; nil: not before `keep`.
    init(_ session: AccountSession, in store: SessionStore, as name: String?) {
        self.store = store
        state = Mutex(State(session: session, name: name))
    }

    /// For what is known of uploads: parts that are over need not be sent again.
    var uploadsFolder: String { "\(store.folder)/\(state.withLock { $0.name } ?? "unnamed").uploads" }

    var session: AccountSession { state.withLock { $0.session } }

    /// Changes the session, and returns when the change is on the disk.
    ///
    /// - Throws: `AccountError`.
    func update(_ change: @escaping @Sendable (inout AccountSession) -> Void) async throws {
        let isChanged = state.withLock { state in
            let before = state.session
            change(&state.session)
            return state.session != before && state.name != nil
        }
        if isChanged { try await save(isNew: false) }
    }

    /// Keeps a session that was only in memory, under a name that nobody has.
    ///
    /// - Throws: `AccountError`, `exists`, `localIO`.
    func keep(as name: String, isNew: Bool) async throws {
        state.withLock { $0.name = name }
        try await save(isNew: isNew)
    }

    /// One after the other: the file is that of the last change.
    private func save(isNew: Bool) async throws {
        try await thread.run { [self] in
            let (session, name) = state.withLock { ($0.session, $0.name) }
            guard let name else { return }
            try store.save(session, as: name, isNew: isNew)
        }
    }
}
