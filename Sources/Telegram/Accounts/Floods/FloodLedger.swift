/// Remembers flood waits by account and method, for all processes that use the account.
package protocol FloodLedger: Sendable {
    /// Returns the wait that remains; nil if the method may be called now.
    func wait(account: Int64, method: String) async -> FloodWait?
    func note(account: Int64, _ wait: FloodWait) async
}
