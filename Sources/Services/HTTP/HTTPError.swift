/// Tells why a request got no answer. A status code is not an error: a 404 is a response.
package struct HTTPError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case invalidURL
        /// The address policy forbids the address that the host's name resolved to.
        case refusedAddress
        /// The name is unknown, or no server answers at its address.
        case unreachable
        /// Connecting, a silence or the whole call took too long.
        case timedOut
        case tls
        /// The peer closed or reset the connection before the end.
        case truncated
        /// The body is longer than `maxBodyBytes`.
        case tooLarge
        case redirectLoop
        /// The body is not in the encoding that the head names.
        case badEncoding
        case protocolError
        /// Reading the body to be sent failed.
        case localIO
        case cancelled
        /// `onHead` or `onBody` threw; see `underlying`.
        case sink
    }

    package var code: Code
    /// One line for a person. It names the host at most, never path or query, which can hold tokens.
    package var message: String
    /// The error that `onHead` or `onBody` threw.
    package var underlying: (any Error)?
    /// Is true if the whole request was sent, so that the server may have carried it out.
    package var mayHaveArrived = false
    /// Is true if no other host may be reachable either: there is no route, or no name server answers.
    package var mayConcernAllHosts = false
    /// The part of the answer's body that had arrived.
    package var partialBody: [UInt8] = []

    package init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// Is true if another attempt may succeed.
    package var isTransient: Bool {
        switch code {
        case .unreachable, .timedOut, .truncated: true
        default: false
        }
    }

    package var description: String { message }
}
