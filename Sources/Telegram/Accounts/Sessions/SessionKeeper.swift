import System
import MTProto
import Synchronization

/// A session in use: what is learned about it is kept at once.
package final class SessionKeeper: Sendable {
    private struct State {
        var session: AccountSession
        /// nil: nothing is kept (yet).
        var name: String?
        /// Those who wait for a data centre's key.
        var wanted: [Int: Promise<AuthKey>] = [:]
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

    /// Waits for the key of a data centre: a connection tells what it has made a moment after it was of use.
    func waitForKey(of dataCenter: Int) async throws {
        let promise = state.withLock { state -> Promise<AuthKey>? in
            guard state.session.keys[dataCenter] == nil else { return nil }
            let promise = state.wanted[dataCenter] ?? Promise()
            state.wanted[dataCenter] = promise
            return promise
        }
        guard let promise else { return }
        _ = try await within(.seconds(10), "the connection does not tell its key") { try await promise.value() }
    }

    /// Keeps a session that was only in memory, under a name that nobody has.
    ///
    /// - Throws: `AccountError`, `exists`, `localIO`.
    func keep(as name: String, isNew: Bool) async throws {
        state.withLock { $0.name = name }
        try await save(isNew: isNew)
    }

    /// One after the other: the file is that of the last change.
    func save(isNew: Bool = false) async throws {
        try await thread.run { [self] in
            let (session, name) = state.withLock { ($0.session, $0.name) }
            guard let name else { return }
            try store.save(session, as: name, isNew: isNew)
        }
    }
}
