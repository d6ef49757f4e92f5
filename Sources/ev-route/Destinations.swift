import Glibc

/// Where events of one type and version go.
final class Destination {
    let type: [UInt8]
    let version: Int
    /// Indices of the routes that match.
    let routes: [Int]
    /// Indices of their outputs, each once.
    let outputs: [Int]
    private(set) var events = 0
    private(set) var bytes = 0

    init(type: [UInt8], version: Int, routes: [Int], outputs: [Int]) {
        self.type = type
        self.version = version
        self.routes = routes
        self.outputs = outputs
    }

    func count(bytes added: Int) {
        events += 1
        bytes += added
    }

    func isFor(_ type: UnsafeRawBufferPointer, _ version: Int) -> Bool {
        guard self.version == version, self.type.count == type.count, let start = type.baseAddress else { return false }
        return self.type.withUnsafeBufferPointer { $0.baseAddress.map { memcmp($0, start, type.count) == 0 } ?? false }
    }
}

/// How many events and bytes a route has matched.
struct RouteCount: Sendable {
    var events = 0
    var bytes = 0
}

/// The routes, with the destinations of the types seen last kept.
///
/// Of a fixed size: types come from outside, and a stream that never repeats one must cost time only.
struct Destinations {
    private static let slots = 512

    private let routes: [Route]
    private let outputOfRoute: [Int]
    private var kept: [Destination?] = Array(repeating: nil, count: slots)
    private var counts: [RouteCount]

    /// - Parameter outputOfRoute: the index of each route's output.
    init(routes: [Route], outputOfRoute: [Int]) {
        self.routes = routes
        self.outputOfRoute = outputOfRoute
        counts = Array(repeating: RouteCount(), count: routes.count)
    }

    mutating func find(type: UnsafeRawBufferPointer, version: Int) -> Destination {
        let slot = Destinations.slot(type, version)
        if let known = kept[slot], known.isFor(type, version) { return known }
        return replace(slot, type, version)
    }

    private mutating func replace(_ slot: Int, _ type: UnsafeRawBufferPointer, _ version: Int) -> Destination {
        if let old = kept[slot] { Destinations.add(old, to: &counts) }
        let matching = routes.indices.filter { routes[$0].matches(type: type, version: version) }
        var outputs: [Int] = []
        for route in matching where !outputs.contains(outputOfRoute[route]) { outputs.append(outputOfRoute[route]) }
        let new = Destination(type: Array(type), version: version, routes: matching, outputs: outputs)
        kept[slot] = new
        return new
    }

    /// What each route has matched until now.
    var totals: [RouteCount] {
        var totals = counts
        for case let destination? in kept { Destinations.add(destination, to: &totals) }
        return totals
    }

    private static func add(_ destination: Destination, to counts: inout [RouteCount]) {
        for route in destination.routes {
            counts[route].events += destination.events
            counts[route].bytes += destination.bytes
        }
    }

    /// A hash that need not withstand an enemy: all that collisions cost is matching again.
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
