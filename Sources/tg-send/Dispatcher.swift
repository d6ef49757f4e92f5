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
        var begun = RecentIDs()
        while let batch = try await stream.next() {
            for item in batch {
                switch item {
                case .other(let line): try await output.write(line.bytes + [UInt8(ascii: "\n")])
                case .event(let event, _):
                    guard var job = Job(event) else { continue }
                    if job.isProgress { job.isFirstProgress = begun.insert(event.correlationID) }
                    do throws(MalformedInput) { try sender.check(job) } catch {
                        try await stream.refuse(event, error)
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

/// The newest requests seen, bounded.
private struct RecentIDs {
    private var ids: Set<EventID> = []
    private var order: [EventID] = []

    /// - Returns: whether it was new.
    mutating func insert(_ id: EventID) -> Bool {
        guard ids.insert(id).inserted else { return false }
        order.append(id)
        if order.count > 10_000 {
            for old in order.prefix(5000) { ids.remove(old) }
            order.removeFirst(5000)
        }
        return true
    }
}
