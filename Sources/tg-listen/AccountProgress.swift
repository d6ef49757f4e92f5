import JSON
import System
import Updates

/// How far a listener has come with an account, as it is kept.
struct AccountProgress: Sendable {
    let accountID: Int64
    /// Of the last update that was emitted; they count from 1.
    var updateID: Int64 = 0
    /// Counts how often this was kept.
    var revision: Int64 = 0
    /// nil: the account was never listened to.
    var state: UpdateState?

    init(accountID: Int64) { self.accountID = accountID }

    /// - Throws: `ToolError` (78) when it is another account's, or none's.
    init(_ text: String, accountID: Int64) throws {
        guard let json = try? JSON(parsing: text), let owner = json["account_id"]?.int,
            let updateID = json["update_id"]?.int, let revision = json["revision"]?.int,
            let state = json["state"].flatMap({ UpdateState($0) })
        else {
            throw ToolError(
                .configuration,
                "the kept state is no account's, or damaged: remove it to begin with what happens from now on")
        }
        guard owner == accountID else {
            throw ToolError(
                .configuration,
                "the kept state is that of the account \(owner), and the session that of \(accountID): name another --state"
            )
        }
        (self.accountID, self.updateID, self.revision, self.state) = (owner, updateID, revision, state)
    }

    var text: String {
        JSON.object([
            "account_id": .integer(accountID), "update_id": .integer(updateID), "revision": .integer(revision),
            "state": state?.json,
        ]).text
    }

    static func newer(_ kept: String, _ noted: String) -> String {
        let revisions = [kept, noted].map { (try? JSON(parsing: $0))?["revision"]?.int ?? 0 }
        return revisions[0] >= revisions[1] ? kept : noted
    }
}
