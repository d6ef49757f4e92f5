import JSON
import System
import Updates

/// The saved position of an account's listener.
struct AccountProgress: Sendable {
    let accountID: Int64
    /// The `update_id` of the last emitted update; they count from 1.
    var updateID: Int64 = 0
    /// The number of times that the position was saved.
    var revision: Int64 = 0
    /// The position in Telegram's updates; nil when the account was never listened to.
    var state: UpdateState?
    /// The keys of updates after `state` that were emitted.
    var emitted: Set<String> = []
    /// The keys of the updates that are about to be emitted, in their order; empty for one that does not come again. `ProgressStore` counts
    /// those that were emitted.
    var batch: [String] = []

    init(accountID: Int64) { self.accountID = accountID }

    /// Reads a saved position.
    ///
    /// - Throws: `ToolError` (78) when it is damaged, or another account's.
    init(_ text: String, accountID: Int64) throws {
        guard let json = try? JSON(parsing: text), let owner = json["account_id"]?.int,
            let updateID = json["update_id"]?.int, let revision = json["revision"]?.int,
            let state = json["state"].flatMap({ UpdateState($0) })
        else {
            throw ToolError(
                .configuration,
                "the saved state is damaged, or not that of an account: remove it to begin with the updates from now on"
            )
        }
        guard owner == accountID else {
            throw ToolError(
                .configuration,
                "the saved state belongs to the account \(owner), but the session to \(accountID): give another --state"
            )
        }
        (self.accountID, self.updateID, self.revision, self.state) = (owner, updateID, revision, state)
        emitted = Set(AccountProgress.keys(json["emitted"]))
        batch = AccountProgress.keys(json["batch"])
    }

    private static func keys(_ json: JSON?) -> [String] { (json?.array ?? []).compactMap(\.string) }

    /// Counts the first updates of the batch as emitted. The others were not.
    mutating func endBatch(emitted count: Int) {
        let done = batch.prefix(count)
        emitted.formUnion(done.filter { !$0.isEmpty })
        updateID += Int64(done.count)
        batch = []
    }

    var text: String {
        func list(_ keys: [String]) -> JSON? { keys.isEmpty ? nil : .array(keys.map { .string($0) }) }
        return JSON.object([
            "account_id": .integer(accountID), "update_id": .integer(updateID), "revision": .integer(revision),
            "state": state?.json, "emitted": list(emitted.sorted()), "batch": list(batch),
        ]).text
    }

    static func newer(_ kept: String, _ noted: String) -> String {
        let revisions = [kept, noted].map { (try? JSON(parsing: $0))?["revision"]?.int ?? 0 }
        return revisions[0] >= revisions[1] ? kept : noted
    }
}
