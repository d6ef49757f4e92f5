import Accounts
import ArgumentParser
import JSON
import Options
import Stage
import System

/// `tg-session list`
struct List: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List all sessions, with the process that uses each.",
        discussion: "Example: tg-session list --json | jq -r 'select(.pid).name'")

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Flag(help: "Print one JSON object per line.")
    var json = false

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        var isWhole = true
        for name in SessionStore(folder: try runtime.stateFolder("sessions")).names() {
            let known = SessionSummary(try NamedSession(name, runtime))
            isWhole = isWhole && known.problem == nil
            try await output.write(Array((json ? known.json.text : known.line).utf8) + [UInt8(ascii: "\n")])
        }
        return isWhole ? .success : .malformedInput
    }
}

/// Describes a session without its keys.
struct SessionSummary: Sendable {
    private let name: String
    private let session: AccountSession?
    /// The reason why the session cannot be read; nil if it can.
    let problem: String?
    private let pid: Int32?
    private let isShared: Bool

    init(_ place: NamedSession) {
        name = place.name
        do throws(AccountError) {
            session = try place.store.load(place.name)
            problem = nil
        } catch {
            (session, problem) = (nil, error.message)
        }
        (pid, isShared) = (place.user, place.isShared)
    }

    var json: JSON {
        .object([
            "name": .string(name), "user_id": session?.userID.map { .integer($0) },
            "bot": session.map { .bool($0.isBot) },
            "dc": session.map { .integer(Int64($0.dataCenter)) }, "test": session.map { .bool($0.isTest) },
            "pid": pid.map { .integer(Int64($0)) }, "shared": .bool(isShared), "error": problem.map { .string($0) },
        ])
    }

    /// A line for people: name, id, kind, data centre and process, separated by tabs.
    var line: String {
        guard let session else { return "\(name)\t\(problem ?? "")" }
        let id = session.userID.map { "\($0)" } ?? "?"
        let place = "dc \(session.dataCenter)\(session.isTest ? " (test)" : "")"
        let use = pid.map { "\(isShared ? "shared" : "used") by process \($0)" } ?? "not in use"
        return [name, id, session.isBot ? "bot" : "user", place, use].joined(separator: "\t")
    }
}
