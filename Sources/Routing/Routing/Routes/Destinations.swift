import Glibc

/// Counts the events and bytes that a route has matched.
struct RouteCount: Sendable {
    var events = 0
    var bytes = 0

    mutating func add(_ other: RouteCount) {
        events += other.events
        bytes += other.bytes
    }
}

/// Finds the outputs of an event by its type, and keeps those of the latest types in a cache.
///
/// The cache has a fixed size: types come from outside, and a stream that never repeats a type must cost only time, not
/// memory.
struct Destinations {
    /// Holds the routes and outputs of one type and version.
    private struct Destination {
        var type: [UInt8] = []
        var version = 0
        /// The indices of the routes that match.
        var routes: [Int] = []
        /// The indices of their outputs, each once.
        var outputs: [Int] = []
        var count = RouteCount()

        func isFor(_ type: UnsafeRawBufferPointer, _ version: Int) -> Bool {
            guard self.version == version, self.type.count == type.count, let start = type.baseAddress else {
                return false
            }
            return self.type.withUnsafeBytes { $0.baseAddress.map { memcmp($0, start, type.count) == 0 } ?? false }
        }
    }

    private static let slots = 512

    private let routes: [Route]
    private let outputOfRoute: [Int]
    private var kept: [Destination] = Array(repeating: Destination(), count: slots)
    private var forgotten: [RouteCount]

    /// - Parameter outputOfRoute: the index of each route's output.
    init(routes: [Route], outputOfRoute: [Int]) {
        self.routes = routes
        self.outputOfRoute = outputOfRoute
        forgotten = Array(repeating: RouteCount(), count: routes.count)
    }

    /// Finds the outputs of an event, and counts it.
    ///
    /// - Returns: the slot for `output(_:of:)`, valid until the next call, and the number of outputs.
    mutating func find(type: UnsafeRawBufferPointer, version: Int, bytes: Int) -> (slot: Int, outputs: Int) {
        let slot = Destinations.slot(type, version)
        if !kept[slot].isFor(type, version) { replace(slot, type, version) }
        kept[slot].count.events += 1
        kept[slot].count.bytes += bytes
        return (slot, kept[slot].outputs.count)
    }

    /// Returns the index of one of a slot's outputs.
    func output(_ number: Int, of slot: Int) -> Int { kept[slot].outputs[number] }

    private mutating func replace(_ slot: Int, _ type: UnsafeRawBufferPointer, _ version: Int) {
        add(kept[slot], to: &forgotten)
        let matching = routes.indices.filter { routes[$0].matches(type: type, version: version) }
        var outputs: [Int] = []
        for route in matching where !outputs.contains(outputOfRoute[route]) { outputs.append(outputOfRoute[route]) }
        kept[slot] = Destination(type: Array(type), version: version, routes: matching, outputs: outputs)
    }

    /// The counts of each route until now.
    var totals: [RouteCount] {
        var totals = forgotten
        for destination in kept { add(destination, to: &totals) }
        return totals
    }

    private func add(_ destination: Destination, to counts: inout [RouteCount]) {
        for route in destination.routes { counts[route].add(destination.count) }
    }

    /// Returns a fast hash. Deliberate collisions do no harm, because they only cost another match of the patterns.
    private static func slot(_ type: UnsafeRawBufferPointer, _ version: Int) -> Int {
        var hash = UInt64(truncatingIfNeeded: version &+ type.count)
        var index = 0
        while index + 8 <= type.count {
            hash = (hash ^ type.loadUnaligned(fromByteOffset: index, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
            index += 8
        }
        while index < type.count {
            hash = (hash ^ UInt64(type[index])) &* 0x100_0000_01B3
            index += 1
        }
        return Int(truncatingIfNeeded: (hash ^ hash >> 32) & UInt64(slots - 1))
    }
}
