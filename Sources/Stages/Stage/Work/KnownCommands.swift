package import Logging
import Synchronization
import System

/// The commands that a stage carries out. It warns once of each event that looks like one of them and is none, because such
/// an event is forwarded, and nothing happens.
package final class KnownCommands: Sendable {
    private static let mostWarnings = 100

    private let prefix: String
    private let types: Set<String>
    private let log: Logger
    private let warned = Mutex<Set<String>>([])

    /// - Parameters:
    ///   - prefix: the beginning of all commands for this stage, such as `commands.telegram.`.
    ///   - types: the event types that the stage handles, commands and others.
    package init(_ prefix: String, _ types: some Sequence<String>, _ log: Logger) {
        (self.prefix, self.types, self.log) = (prefix, Set(types), log)
    }

    /// Returns whether the stage handles events of a type.
    package func accepts(_ type: String) -> Bool {
        if types.contains(type) { return true }
        if type.hasPrefix(prefix) { warnOnce(type, "unknown command \(type)", type, types) }
        return false
    }

    /// Warns of keys in a command's payload that have no effect.
    ///
    /// - Parameter known: the keys that may have been meant.
    package func warn(of unusedKeys: [String], in type: String, known: [String]) {
        for key in unusedKeys {
            let near = known.filter { $0 != key }
            warnOnce("\(type) \(key)", "the payload of \(type) has a key without effect: \(key)", key, near)
        }
    }

    private func warnOnce(_ id: String, _ message: String, _ name: String, _ known: some Sequence<String>) {
        let isNew = warned.withLock { $0.count < KnownCommands.mostWarnings && $0.insert(id).inserted }
        guard isNew else { return }
        log.warning("\(message)\(SimilarNames.hint(for: name, among: known))")
    }
}
