import System

/// Finds the primary server that sentinels know, and connects to it.
struct Sentinels {
    let address: RedisAddress
    let sentinels: [RedisAddress.Endpoint]
    /// The name of the primary server at the sentinels.
    let primary: String
    let clientName: String
    let waiter: PollWaiter

    /// The time in which a sentinel must answer: little at the first look, so that a sentinel whose machine is lost does not keep those behind
    /// it waiting, and more at each look.
    private static let (firstPatience, longestPatience) = (Duration.milliseconds(300), Duration.seconds(2))
    /// The time in which the server that a sentinel names must answer.
    private static let serverPatience = Duration.seconds(2)

    /// Asks one sentinel after the other until one names a server that says of itself that it is the primary one.
    ///
    /// While the sentinels elect another server, they name the lost one, or one that is still a replica; they are asked again then.
    /// - Throws: the last failure at the deadline; at once if the name, a password or a certificate is wrong.
    func connect(until deadline: Deadline) throws(RedisError) -> Link {
        var failure: RedisError?
        var patience = Self.firstPatience
        while true {
            var mayHeal = false
            for sentinel in sentinels {
                do throws(RedisError) {
                    return try connect(through: sentinel, patience, until: deadline)
                } catch {
                    if error.code == .closed { throw error }
                    mayHeal = mayHeal || error.isTransient
                    // What the user can mend is told rather than what heals by itself.
                    if failure?.isTransient != false || !error.isTransient { failure = error }
                }
            }
            let error = failure ?? unknown
            guard mayHeal, !deadline.hasPassed else {
                // One sentinel that is set up wrongly must not end the tools while the others elect another server.
                throw RedisError(error.code, error.message, isTransient: mayHeal)
            }
            patience = min(patience * 2, Self.longestPatience)
            let pause = min(deadline, .after(.milliseconds(100)))
            if waiter.waitThrough(for: 0, on: -1, until: pause) == .stopped { throw error }
        }
    }

    private func connect(
        through sentinel: RedisAddress.Endpoint, _ patience: Duration, until end: Deadline
    ) throws(RedisError) -> Link {
        let endpoint = try ask(sentinel, until: min(end, .after(patience)))
        let server = address.member(endpoint)
        let deadline = min(end, .after(Self.serverPatience))
        let link = try Link(to: server, clientName: clientName, until: deadline, waiter: waiter)
        let role = try link.exchange(CommandBatch([["ROLE"]]), until: deadline, waiter: waiter)[0]
        if case .error(let text) = role { throw RedisError(reply: text, from: server) }
        guard role.array?.first?.string == "master" else {
            throw RedisError(
                .readOnly,
                "Redis at \(server), which the sentinel \(sentinel) names as the primary server, is a replica")
        }
        return link
    }

    private func ask(_ sentinel: RedisAddress.Endpoint, until deadline: Deadline) throws(RedisError)
        -> RedisAddress.Endpoint
    {
        let source = address.sentinel(sentinel)
        let link = try Link(to: source, clientName: clientName, until: deadline, waiter: waiter)
        let question: [RedisArgument] = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", .text(primary)]
        let reply = try link.exchange(CommandBatch([question]), until: deadline, waiter: waiter)[0]
        if case .error(let text) = reply {
            guard text.hasPrefix("ERR unknown command") else { throw RedisError(reply: text, from: source) }
            throw RedisError(
                .configuration, "\(sentinel) is no sentinel: the usual port of sentinels is 26379, that of servers 6379"
            )
        }
        if reply.isNull { throw unknown }
        guard let endpoint = RedisAddress.Endpoint(reply.array) else {
            throw RedisError(.protocolError, "the sentinel \(sentinel) did not name an address of the primary server")
        }
        return endpoint
    }

    private var unknown: RedisError {
        RedisError(
            .configuration,
            "no sentinel at \(address) knows a primary server named \(primary.printable(atMost: 100)): see SENTINEL MASTERS"
        )
    }
}

extension RedisAddress.Endpoint {
    /// Reads a host and a port from the beginning of a list that a server sent; returns nil if they cannot be an address.
    ///
    /// - Parameter asked: the host that was asked; a server that leaves out the host means it.
    init?(_ elements: [RedisValue]?, asked: String? = nil) {
        guard let elements, elements.count >= 2, let port = elements[1].int, (1...65535).contains(port) else {
            return nil
        }
        var host = elements[0].string ?? ""
        if host.isEmpty || host == "?", let asked { host = asked }
        guard (1...255).contains(host.utf8.count), host.utf8.allSatisfy({ (33...126).contains($0) }) else { return nil }
        self.init(host: host, port: Int(port))
    }
}
