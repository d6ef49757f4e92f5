import Glibc
import Synchronization

/// Forwards requests to a real server and fails those that a rule selects.
package final class FaultyProxy: Sendable {
    package enum Fault: Sendable {
        /// Answers in the server's place.
        case answer(Int, headers: [(String, String)] = [], body: String = "")
        /// Breaks the connection instead of forwarding the request.
        case reset
        /// Forwards the request, then breaks the connection instead of returning the response.
        case loseAnswer
        /// Never answers.
        case hang
    }

    /// Selects the first `times` requests with this method, this text in their target and this header, and gives their
    /// fault.
    package struct Rule: Sendable {
        var method: String
        var contains: String
        var header: String?
        var times: Int
        var fault: Fault

        package init(_ method: String, contains: String = "", header: String? = nil, times: Int = 1, _ fault: Fault) {
            (self.method, self.contains, self.header, self.times, self.fault) = (method, contains, header, times, fault)
        }

        func fits(_ request: LoopbackRequest) -> Bool {
            times > 0 && method == request.method && (contains.isEmpty || request.target.contains(contains))
                && (header.map { request.header($0) != nil } ?? true)
        }
    }

    private let server: LoopbackServer
    private let rules: Rules

    package init(to upstreamPort: Int, _ rules: [Rule]) throws {
        let rules = Rules(rules)
        self.rules = rules
        server = try LoopbackServer { request, connection in
            switch rules.take(for: request) {
            case .answer(let status, let headers, let body):
                connection.respond(status, headers, text: request.method == "HEAD" ? "" : body)
            case .reset:
                connection.reset()
            case .loseAnswer:
                _ = FaultyProxy.forward(request, to: upstreamPort)
                connection.reset()
            case .hang:
                connection.waitForHangUp()
            case nil:
                connection.send(FaultyProxy.forward(request, to: upstreamPort))
                connection.close()
            }
        }
    }

    deinit { server.stop() }

    /// Forwards all requests from now on.
    package func stopFailing() { rules.clear() }

    package var endpoint: String { "http://127.0.0.1:\(server.port)" }
    package var requests: [LoopbackRequest] { server.requests }

    private final class Rules: Sendable {
        private let rules: Mutex<[Rule]>

        init(_ rules: [Rule]) { self.rules = Mutex(rules) }

        func clear() { rules.withLock { $0 = [] } }

        func take(for request: LoopbackRequest) -> Fault? {
            rules.withLock { rules in
                guard let index = rules.firstIndex(where: { $0.fits(request) }) else { return nil }
                rules[index].times -= 1
                return rules[index].fault
            }
        }
    }

    /// Returns the server's whole response, or no bytes if there is none.
    private static func forward(_ request: LoopbackRequest, to port: Int) -> [UInt8] {
        guard let descriptor = connectToLoopback(port: port) else { return [] }
        defer { close(descriptor) }
        let headers = request.headers.filter { $0.name != "connection" } + [("connection", "close")]
        let head =
            "\(request.method) \(request.target) HTTP/1.1\r\n"
            + headers.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n"
        // A server that refuses a body may have answered before it has taken all of it.
        _ = sendAll(Array(head.utf8) + request.body, to: descriptor)
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return answer }
            answer += buffer[..<count]
        }
    }
}
