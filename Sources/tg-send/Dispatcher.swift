import Envelope
import Stage
import Synchronization

/// Reads events, puts them into the schedule, and has workers send them.
struct Dispatcher: Sendable {
    let runtime: Runtime
    let sender: Sender
    let output: EventOutput
    let options: SendingOptions

    func run(_ input: InputOptions) async throws {
        let stream = try await EventStream(runtime: runtime, options: input, accepts: Job.accepts)
        let schedule = Schedule(progressInterval: options.progressInterval.duration)
        let failure = FirstFailure(shutdown: runtime.shutdown)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await failure.catching { try await read(stream, into: schedule) }
                schedule.close()
            }
            for _ in 0..<options.concurrency {
                group.addTask {
                    while failure.error == nil, let job = await schedule.next() {
                        await failure.catching { try await work(job, schedule) }
                    }
                }
            }
            await group.waitForAll()
        }
        if let error = failure.error { throw error }
    }

    private func read(_ stream: EventStream, into schedule: Schedule) async throws {
        var begun = RecentRequests()
        var ended = RecentRequests()
        while let batch = try await stream.next() {
            for item in batch {
                switch item {
                case .other(let line): try await output.write(line.bytes + [UInt8(ascii: "\n")])
                case .event(let event, let line):
                    guard var job = Job(event) else { continue }
                    job.weight += line.range.count >> 16
                    if job.isProgress {
                        // What comes behind the end would make a reply that nothing removes.
                        if ended.contains(event) { continue }
                        job.isFirstProgress = begun.insert(event)
                    } else if job.endsRequest {
                        _ = ended.insert(event)
                    }
                    do throws(MalformedInput) { try sender.check(job) } catch {
                        try await stream.refuse(event, line, error)
                        continue
                    }
                    await schedule.add(job)
                }
            }
        }
    }

    private func work(_ job: Job, _ schedule: Schedule) async throws {
        let outcome: Schedule.Outcome
        do {
            outcome = try await Correlation.$current.withValue(Correlation(job.event)) { try await sender.perform(job) }
        } catch {
            schedule.abort()
            throw error
        }
        schedule.finish(job, outcome)
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
