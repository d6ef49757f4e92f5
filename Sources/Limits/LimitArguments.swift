public import ArgumentParser
public import Redis

extension RateLimit.Algorithm: ExpressibleByArgument {}
extension RateMode: ExpressibleByArgument {}

/// What becomes of an event over the limit.
public enum LimitAction: String, ExpressibleByArgument, CaseIterable, Sendable {
    case mark, drop, reply
}

/// What an event is while Redis cannot be asked.
public enum FailureMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    case open, closed
}
