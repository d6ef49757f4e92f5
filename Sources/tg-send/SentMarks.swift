import Envelope
import JSON
import Redis

extension SharedState {
    private static let markSeconds: Int64 = 86_400

    /// Notes what was done for an event of a queue, so that it is not done again when the event is handed out anew. Between Telegram's
    /// answer and this note there is a moment in which a crash makes a double.
    func remember(_ job: Job) async {
        let mark: JSONObject = [
            "left": .array(job.steps.map { .string($0.name) }), "reason": job.event.payload["reason"],
            "results": .array(job.results.map(\.json)),
        ]
        _ = await attempt { redis throws(RedisError) in
            try await redis.send(
                "SET", .text(markKey(job)), .bytes(JSON.object(mark).bytes), "EX", .integer(SharedState.markSeconds))
        }
    }

    /// Leaves of a job what is still to do.
    func recall(_ job: inout Job) async {
        let text = await attempt { redis throws(RedisError) in try await redis.send("GET", .text(markKey(job))).string }
        guard let text = text ?? nil, let mark = try? JSON(parsing: text), let left = mark["left"]?.array else {
            return
        }
        // The first step of a command names its action.
        job.steps = left.compactMap(\.string).compactMap { name in
            Step(name: name) ?? job.steps.first { $0.name == name }
        }
        job.results = (mark["results"]?.array ?? []).compactMap { try? Envelope($0) }
        if let reason = mark["reason"] { job.event.payload["reason"] = reason }
    }

    private func markKey(_ job: Job) -> String { "tgpipe:sent:\(job.event.id)" }
}

extension Step {
    fileprivate var name: String {
        switch self {
        case .command: "command"
        case .showProgress: "show_progress"
        case .deliver: "deliver"
        case .removeReply: "remove_reply"
        case .showFailure: "show_failure"
        }
    }

    /// nil for a command, which has its own word.
    fileprivate init?(name: String) {
        switch name {
        case "show_progress": self = .showProgress
        case "deliver": self = .deliver
        case "remove_reply": self = .removeReply
        case "show_failure": self = .showFailure
        default: return nil
        }
    }
}
