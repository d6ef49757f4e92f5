import Envelope
import JSON
import Logging
import Payloads
import Stage
import System

/// Ends the requests that an earlier run of the bot has shown in a chat and never ended.
///
/// A killed stage loses the events that it held from a pipe. Without this type, "On it…" would stay in the chat for ever.
struct InterruptedRequests: Sendable {
    let runtime: Runtime
    let shared: SharedState
    let scheduler: SharedScheduler

    /// The times after the start at which abandoned requests are looked for. The first gives the events that are on
    /// their way the time to arrive; the second finds the requests of processes on other machines.
    private static let looks: [Duration] = [.seconds(3), .seconds(35)]
    private static let beat = Duration.seconds(10)

    static let reason = "The bot was interrupted before this was finished. Please ask again."

    /// Runs until its task is cancelled.
    func run() async {
        let start = ContinuousClock.now
        var looks = InterruptedRequests.looks[...]
        while !Task.isCancelled {
            await shared.noteAlive()
            let next = min(
                looks.first.map { start + $0 } ?? .now + InterruptedRequests.beat, .now + InterruptedRequests.beat)
            guard (try? await Task.sleep(until: next)) != nil else { return }
            if let look = looks.first, start + look <= .now {
                looks.removeFirst()
                await endAbandoned()
            }
        }
    }

    private func endAbandoned() async {
        for request in await shared.abandonedRequests() where await shared.close(request.request) {
            let type = DownloadFailed.types.first { $0.contains(".\(request.kind).") } ?? DownloadFailed.types[0]
            let event = Envelope(
                type: type,
                payload: [
                    "kind": .string(request.kind), "code": "interrupted",
                    "reason": .string(InterruptedRequests.reason), "temporary": true,
                ], meta: ["origin": request.origin], correlationID: request.request)
            guard let job = try? Job(event) else { continue }
            runtime.log.notice(
                "a request was interrupted by the end of the bot: telling the user",
                metadata: ["correlation_id": "\(request.request)"])
            scheduler.add(job)
        }
    }
}
