import CCurl
import Glibc

/// Makes HTTP requests over connections that are kept and reused.
///
/// One thread drives all transfers of a client. Callbacks run on it, one at a time, and may block (to write to disk,
/// say). Transfers that must not wait for each other's disk need clients of their own. The first request
/// loads libcurl and starts the thread, which ends with the client.
package final class HTTPClient: Sendable {
    private let loop: TransferLoop
    private let identity: ClientIdentity

    /// Makes a client.
    ///
    /// - Parameter caFile: certificates to trust instead of the system's; by default the file that `CURL_CA_BUNDLE`
    ///   or `SSL_CERT_FILE` names.
    package init(userAgent: String = "tgpipe", caFile: String? = nil) {
        identity = ClientIdentity(
            userAgent: userAgent,
            caFile: caFile ?? environmentValue("CURL_CA_BUNDLE") ?? environmentValue("SSL_CERT_FILE"))
        loop = TransferLoop()
    }

    deinit { loop.stop() }

    /// Sends a request and collects the answer's body, at most `maxBodyBytes` of it.
    ///
    /// - Throws: `HTTPError`.
    package func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let collected = BodyCollector()
        let limit = request.maxBodyBytes
        let head: HTTPHead
        do throws(HTTPError) {
            head = try await perform(
                request,
                onHead: { head in
                    if let length = head.contentLength, length > limit, request.method != "HEAD" { throw BodyTooLong() }
                    return .receive
                },
                onBody: { bytes in
                    guard collected.bytes.count + bytes.count <= limit else { throw BodyTooLong() }
                    collected.bytes.append(contentsOf: bytes)
                })
        } catch {
            var failure = error
            failure.partialBody = collected.bytes
            throw failure
        }
        return HTTPResponse(head: head, body: collected.bytes)
    }

    /// Sends a request and streams the answer's body.
    ///
    /// - Parameters:
    ///   - onHead: gets the final head (after redirects) once, and decides whether the body is received.
    ///   - onBody: gets the bytes as they arrive.
    ///
    /// Both run on the client's own thread, one call at a time, and may block. An error that one of them throws ends
    /// the transfer with `HTTPError.Code.sink` and is its `underlying` error. Neither is called after this method has
    /// returned.
    ///
    /// - Throws: `HTTPError`.
    package func stream(
        _ request: HTTPRequest, onHead: @escaping @Sendable (HTTPHead) throws -> HeadDecision,
        onBody: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws(HTTPError) -> HTTPHead {
        try await perform(request, onHead: onHead, onBody: onBody)
    }

    private func perform(
        _ request: HTTPRequest, onHead: @escaping @Sendable (HTTPHead) throws -> HeadDecision,
        onBody: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws(HTTPError) -> HTTPHead {
        loop.prepare()
        let transfer = try Transfer(request, identity: identity, onHead: onHead, onBody: onBody)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { loop.submit(transfer, $0) }
        } onCancel: {
            loop.cancel(transfer)
        }
        return try result.get()
    }
}

/// Holds the user agent and the trusted certificates of all requests of a client.
struct ClientIdentity: Sendable {
    let userAgent: String
    let caFile: String?
}

/// Is thrown by `send`'s own sink, and reported as `HTTPError.Code.tooLarge`.
struct BodyTooLong: Error {}

/// Collects a body. `@unchecked Sendable`: written on the client's thread while the caller waits, read by the caller
/// afterwards.
private final class BodyCollector: @unchecked Sendable {
    var bytes: [UInt8] = []
}

private func environmentValue(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
}
