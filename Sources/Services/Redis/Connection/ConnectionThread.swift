import Glibc

/// Owns the connection on one thread: sends all queued commands at once, and hands replies to the waiting tasks.
///
/// Commands go out while earlier replies are still awaited, so concurrent callers share the connection's full speed.
final class ConnectionThread {
    private let lane: Lane
    private var link: Link?
    /// The exchanges that are sent or about to be, oldest first; the next replies belong to the first of them.
    private var pending = Fifo<Exchange>()
    private var replies: [RedisValue] = []
    /// The earliest deadline of all pending exchanges, or an earlier time.
    private var earliestDeadline = Deadline.never
    private var closingDeadline: Deadline?

    init(_ lane: Lane) { self.lane = lane }

    func run() {
        while true {
            let (new, isClosing) = lane.take()
            admit(new)
            if isClosing && isDrained { break }
            perform { link throws(RedisError) in try link.flush() }
            expire()
            if new.isEmpty { sleep() }
        }
        fail(lane.closed)
        lane.threadEnded()
    }

    /// Is true if the connection can close: no task waits any more, or the time for that is over.
    private var isDrained: Bool {
        let deadline = closingDeadline ?? .after(lane.connectTimeout)
        closingDeadline = deadline
        earliestDeadline = min(earliestDeadline, deadline)
        return deadline.hasPassed || pending.allSatisfy { $0.isFinished }
    }

    private func admit(_ exchanges: some Sequence<Exchange>) {
        var failure: RedisError?
        // A reply comes also to an exchange that has been sent and given up meanwhile.
        for exchange in exchanges where !exchange.isFinished || exchange.alreadySent > 0 {
            if let failure {
                exchange.finish(.failure(failure))
                continue
            }
            do throws(RedisError) {
                try openLink(for: exchange).enqueue(exchange.bytes, skipping: exchange.alreadySent)
                pending.append(exchange)
                earliestDeadline = min(earliestDeadline, exchange.deadline)
            } catch {
                failure = error
                exchange.finish(.failure(error))
            }
        }
    }

    private func openLink(for exchange: Exchange) throws(RedisError) -> Link {
        if let link { return link }
        let deadline = min(.after(lane.connectTimeout), exchange.deadline)
        let opened = try lane.connect(until: deadline)
        link = opened
        return opened
    }

    private func sleep() {
        guard let link else {
            _ = lane.waiter.wait(for: 0, on: -1, until: earliestDeadline)
            return
        }
        if pending.first == nil, !link.hasOutput, link.isPlain, earliestDeadline != .never,
            !lane.offer(link.descriptor, until: earliestDeadline)
        {
            return
        }
        let outcome = lane.waiter.wait(for: link.interest, on: link.descriptor, until: earliestDeadline)
        // From here on nobody else sends to the link, which may fail now. What was sent to it fails with it; all else goes to the next one.
        let new = lane.take().new
        let sent = new.prefix { $0.alreadySent > 0 }
        admit(sent)
        defer { admit(new.dropFirst(sent.count)) }
        if outcome == .ready {
            perform { link throws(RedisError) in try self.receive(from: link) }
        }
    }

    private func receive(from link: Link) throws(RedisError) {
        // The limit keeps a flood of replies from delaying new commands.
        for _ in 0..<16 {
            guard try link.receive() else { return }
            while let reply = try link.nextReply() { try deliver(reply) }
            if pending.first == nil { return }
        }
    }

    private func deliver(_ reply: RedisValue) throws(RedisError) {
        guard let head = pending.first else {
            throw RedisError(.protocolError, "Redis at \(lane.address) sent a reply without a command")
        }
        if replies.isEmpty { replies.reserveCapacity(head.replyCount) }
        replies.append(reply)
        guard replies.count == head.replyCount else { return }
        pending.removeFirst()
        head.finish(.success(replies))
        if lane.isFollowing, replies.contains(where: \.saysReadOnly) {
            throw RedisError(
                .readOnly, "Redis at \(lane.address) has become a replica: its sentinels are asked for the primary")
        }
        // A server that was away for a moment may have been replaced. Until its sentinels tell it so, which takes ten seconds, it takes
        // itself for the primary one, and has no replicas.
        if lane.isFollowing, head.replicas > 0, let count = replies.last?.int, count < head.replicas {
            throw RedisError(
                .timedOut, "Redis at \(lane.address) has too few replicas: its sentinels are asked for the primary")
        }
        replies = []
    }

    /// Uses the connection. After a failure it is closed, and all pending exchanges fail.
    private func perform(_ use: (Link) throws(RedisError) -> Void) {
        guard let link else { return }
        do throws(RedisError) {
            try use(link)
        } catch {
            fail(error)
        }
    }

    private func expire() {
        guard earliestDeadline.hasPassed else { return }
        let late = RedisError(.timedOut, "no answer from Redis at \(lane.address) in time")
        let isStuck = pending.first.map { $0.deadline.hasPassed } ?? false
        earliestDeadline = .never
        for exchange in pending {
            if exchange.deadline.hasPassed {
                exchange.finish(.failure(late))
            } else {
                earliestDeadline = min(earliestDeadline, exchange.deadline)
            }
        }
        if isStuck {
            // Its reply would come before the replies of all other commands.
            fail(RedisError(.unreachable, "gave up the connection to Redis at \(lane.address): an answer is overdue"))
        }
    }

    private func fail(_ error: RedisError) {
        link = nil
        for exchange in pending { exchange.finish(.failure(error)) }
        pending = Fifo()
        replies = []
        earliestDeadline = .never
    }
}

/// Stores elements first in, first out, without moving them at each removal.
struct Fifo<Element>: Sequence {
    private var elements: [Element?] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() {
        elements[head] = nil
        head += 1
        if head > 1024 && head * 2 > elements.count || head == elements.count {
            elements.removeFirst(head)
            head = 0
        }
    }

    func makeIterator() -> AnyIterator<Element> {
        var rest = elements[head...].makeIterator()
        return AnyIterator { rest.next() ?? nil }
    }
}
