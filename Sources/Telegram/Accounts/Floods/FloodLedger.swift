/// When a method may be called again, by account: shared by all processes that speak as it.
package protocol FloodLedger: Sendable {
    /// nil: now.
    func wait(account: Int64, method: String) async -> FloodWait?
    func note(account: Int64, _ wait: FloodWait) async
}
