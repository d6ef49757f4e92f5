import System
import MTProto
import Synchronization

/// A session in use. Each change is saved at once.
package final class SessionKeeper: Sendable {
    private struct State {
        var session: AccountSession
        /// The name to save under; nil if the session is not saved (yet).
        var name: String?
        /// The waiters for a data centre's key.
        var wanted: [Int: Promise<AuthKey>] = [:]
    }

    private let store: SessionStore
    private let state: Mutex<State>
    private let thread = BlockingThread()

    /// - Parameter name: the name to save the session under; nil to save nothing before `keep`.
    init(_ session: AccountSession, in store: SessionStore, as name: String?) {
        self.store = store
        state = Mutex(State(session: session, name: name))
    }

    /// The folder for the records of uploads, by which an interrupted upload continues.
    var uploadsFolder: String { "\(store.folder)/\(state.withLock { $0.name } ?? "unnamed").uploads" }

    var session: AccountSession { state.withLock { $0.session } }

    /// Changes the session, and returns when the change is on the disk.
    ///
    /// - Throws: `AccountError`.
    func update(_ change: (inout AccountSession) -> Void) async throws {
        if self.change(change) { try await save() }
    }

    /// Changes the session at once.
    ///
    /// - Returns: whether it has to be saved.
    func change(_ change: (inout AccountSession) -> Void) -> Bool {
        let (isChanged, told) = state.withLock { state in
            let before = state.session
            change(&state.session)
            let told = state.wanted.filter { state.session.keys[$0.key] != nil }
            for place in told.keys { state.wanted[place] = nil }
            let keys = told.compactMap { place, promise in state.session.keys[place].map { (promise, $0) } }
            return (state.session != before && state.name != nil, keys)
        }
        for (promise, key) in told { promise.fulfil(.success(key)) }
        return isChanged
    }

    /// Waits for the key of a data centre: a connection reports a new key a moment after its first use.
    func waitForKey(of dataCenter: Int) async throws {
        let promise = state.withLock { state -> Promise<AuthKey>? in
            guard state.session.keys[dataCenter] == nil else { return nil }
            let promise = state.wanted[dataCenter] ?? Promise()
            state.wanted[dataCenter] = promise
            return promise
        }
        guard let promise else { return }
        _ = try await within(.seconds(10), "the connection to Telegram did not create a key in time") {
            try await promise.value()
        }
    }

    /// Saves a session that was only in memory.
    ///
    /// - Throws: `AccountError`, `exists`, `localIO`.
    func keep(as name: String, isNew: Bool) async throws {
        state.withLock { $0.name = name }
        try await save(isNew: isNew)
    }

    /// Saves run one after the other, so the file has the last change.
    func save(isNew: Bool = false) async throws {
        try await thread.run { [self] in
            let (session, name) = state.withLock { ($0.session, $0.name) }
            guard let name else { return }
            try store.save(session, as: name, isNew: isNew)
        }
    }
}
