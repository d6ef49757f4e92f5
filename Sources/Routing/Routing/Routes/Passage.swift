import Glibc
import JSON
import Synchronization
import System

/// The way of one route through its middlewares to its output, on a thread of its own: a slow filter holds up nobody else until its
/// outbox is full.
final class Passage: Sendable {
    let name: String
    let outbox = Outbox()
    let stackBytes: Int
    private let plan: MiddlewarePlan
    private let tools: MiddlewareTools
    private let target: Outbox
    private let deadLetters: DeadLetterBox
    private let doneBytes = Atomic(0)

    init(_ route: Route, to target: Outbox, tools: MiddlewareTools, deadLetters: DeadLetterBox) {
        name = "the middlewares of \(route.name.printable)"
        plan = route.middlewares
        stackBytes = plan.stackBytes
        (self.target, self.tools, self.deadLetters) = (target, tools, deadLetters)
    }

    /// Works on what comes into the outbox until it is closed; blocks.
    func run() throws(ToolError) {
        do throws(ToolError) {
            let (before, after) = (try plan.before.chain(tools), try plan.after.chain(tools))
            while let parcel = outbox.next() {
                try pass(parcel, before, after)
                doneBytes.add(parcel.bytes, ordering: .relaxed)
            }
            try before?.finish()
            try after?.finish()
        } catch {
            outbox.breakOff()
            throw error
        }
    }

    private func pass(_ parcel: Parcel, _ before: MiddlewareChain?, _ after: MiddlewareChain?) throws(ToolError) {
        var lines = parcel.lines
        if let before { lines = try before.run(lines, refuse: deadLetters.add) }
        guard !lines.isEmpty else { return }
        let place = target.put(Parcel(lines: lines))
        guard let after, target.waitUntilSettled(to: place) else { return }
        _ = try after.run(lines, refuse: deadLetters.add)
    }

    var undeliveredBytes: Int { outbox.totalBytes - doneBytes.load(ordering: .relaxed) }
}

extension Parcel {
    /// Its lines, without their line feeds.
    var lines: [[UInt8]] {
        var lines: [[UInt8]] = []
        lines.reserveCapacity(places.events)
        for piece in places.pieces {
            let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
            for line in bytes.split(separator: UInt8(ascii: "\n")) { lines.append(Array(line)) }
        }
        return lines
    }

    /// A copy of lines.
    convenience init(lines: [[UInt8]]) {
        self.init(room: lines.reduce(0) { $0 + $1.count + 1 })
        for line in lines {
            line.withUnsafeBytes { append(copying: $0, events: 0) }
            withUnsafeBytes(of: UInt8(ascii: "\n")) { append(copying: $0, events: 1) }
        }
    }
}
