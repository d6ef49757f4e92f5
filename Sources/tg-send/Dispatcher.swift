import Envelope
import JSON
import Options
import Stage
import Synchronization
import System

/// Puts events into the schedule in the order in which they come, and has workers send them.
struct Dispatcher: Sendable {
    let runtime: Runtime
    let sender: Sender
    let options: SendingOptions

    /// How many events are looked at at once; most of them wait for their turn. What is taken from a queue nobody else can take.
    private func heldAtOnce(_ input: InputOptions) -> Int { input.isFromQueue ? 256 : 1000 }

    func run(_ input: InputOptions, _ output: OutputOptions) async throws -> ExitStatus {
        let schedule = Schedule(progressInterval: options.progressInterval.duration)
        let requests = SeenRequests()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<options.concurrency {
                group.addTask { while let job = await schedule.next() { await work(job, schedule) } }
            }
            defer { schedule.abort() }
            return try await runtime.work(
                input, output, concurrency: heldAtOnce(input), accepting: Job.accepts, givingUp: giveUp
            ) { event, context in try begin(event, context, requests, schedule) }
        }
    }

    private func begin(
        _ event: Envelope, _ context: WorkContext, _ requests: SeenRequests, _ schedule: Schedule
    ) throws -> Runtime.Work {
        guard let job = Job(event, context).flatMap(requests.taken) else { return { .done([]) } }
        try sender.check(job)
        schedule.add(job)
        return job.completion.value
    }

    private func work(_ job: Job, _ schedule: Schedule) async {
        do {
            let performed = try await Correlation.$current.withValue(Correlation(job.event)) {
                try await sender.perform(job)
            }
            switch performed {
            case .again(let rest, let wait): schedule.finish(job, .again(rest, after: wait))
            case .finished(let outcome):
                schedule.finish(job, .done)
                job.completion.finish(.success(outcome))
            }
        } catch {
            schedule.finish(job, .done)
            job.completion.finish(.failure(error))
        }
    }

    /// What is said of an event for which no attempt is left.
    private func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let job = Job(event), !job.isProgress else { return [] }
        let action =
            switch job.steps.first {
            case .command(let action): action
            case .deliver: "deliver"
            default: "reply"
            }
        let payload: JSONObject = [
            "action": .string(action), "chat_id": job.chat, "code": 0, "reason": .string(reason),
        ]
        return [.derived(type: "events.telegram.failed", payload: payload)]
    }
}

/// Which requests have begun and which have ended, as far as this process has seen.
private final class SeenRequests: Sendable {
    private let seen = Mutex((begun: RecentRequests(), ended: RecentRequests()))

    /// Notes what a job means for its request.
    ///
    /// - Returns: nil for progress that comes behind the end: it would make a reply that nothing removes.
    func taken(_ job: Job) -> Job? {
        var taken = job
        let event = job.event
        if job.isProgress {
            let isFirst: Bool? = seen.withLock { $0.ended.contains(event) ? nil : $0.begun.insert(event) }
            guard let isFirst else { return nil }
            taken.isFirstProgress = isFirst
        } else if job.endsRequest {
            seen.withLock { _ = $0.ended.insert(event) }
        }
        return taken
    }
}

/// The newest requests seen, bounded; one correlation may ask for both the video and its sound.
private struct RecentRequests {
    private struct Request: Hashable {
        let correlationID: EventID
        let kind: String?

        init(_ event: Envelope) {
            correlationID = event.correlationID
            kind = event.payload["kind"]?.string
        }
    }

    private var requests: Set<Request> = []
    private var order: [Request] = []

    func contains(_ event: Envelope) -> Bool { requests.contains(Request(event)) }

    /// - Returns: whether it was new.
    mutating func insert(_ event: Envelope) -> Bool {
        let request = Request(event)
        guard requests.insert(request).inserted else { return false }
        order.append(request)
        if order.count > 10_000 {
            for old in order.prefix(5000) { requests.remove(old) }
            order.removeFirst(5000)
        }
        return true
    }
}
