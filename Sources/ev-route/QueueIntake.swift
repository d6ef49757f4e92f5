import Blocking
import Envelope
import Queue
import Stage

/// A queue as the input: entries are acknowledged when every output that gets them has accepted them, which means on disk for a spool,
/// and in the queue for a queue.
struct QueueIntake {
    private static let most = 2000

    let feed: QueueFeed
    let delivery: Delivery
    let runtime: Runtime
    let maxLineBytes: Int
    private let thread = BlockingThread()

    init(_ feed: QueueFeed, _ delivery: Delivery, runtime: Runtime, maxLineBytes: Int) {
        (self.feed, self.delivery, self.runtime, self.maxLineBytes) = (feed, delivery, runtime, maxLineBytes)
    }

    /// Returns after the shutdown was requested, or when something failed, which the delivery is told.
    func run() async {
        var failure: StageError?
        do {
            try await feed.forEach(most: QueueIntake.most, route)
        } catch is CancellationError {
            // The outputs' failure, which is told there, or the end of the time to drain.
        } catch let error as any ReportableError {
            failure = StageError(error.exitStatus, error.message)
        } catch {
            failure = StageError(.bug, "unexpected failure: \(error)")
        }
        delivery.intake.end(failure)
    }

    private func route(_ entries: [TakenEntry]) async throws {
        var lines: [UInt8] = []
        for entry in entries {
            lines.append(contentsOf: entry.line)
            lines.append(UInt8(ascii: "\n"))
        }
        let refused = await thread.run { [delivery, maxLineBytes, lines] in
            let barrier = Barrier()
            delivery.intake.put(lines: lines, maxLineBytes: maxLineBytes, barrier)
            return barrier.wait()
        }
        guard let refused else { throw CancellationError() }
        var finished: [TakenEntry] = []
        for entry in entries {
            if let fault = refused.first(where: { $0.isOf(entry.line) })?.fault {
                try await feed.bury(entry, fault)
            } else {
                finished.append(entry)
            }
        }
        try await feed.finish(finished)
    }
}

/// A place in the input, and when everything before it is where it should be.
final class Barrier: Sendable {
    private let outcome = Monitor<[Refused]??>(nil)

    /// - Parameter refused: what no output has got; nil when an output failed.
    func reach(_ refused: [Refused]?) { outcome.update { $0 = .some(refused) } }

    func wait() -> [Refused]? { outcome.wait { $0 } ?? nil }
}
