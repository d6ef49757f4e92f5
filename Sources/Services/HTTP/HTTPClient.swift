import CCurl
import Glibc

/// Makes HTTP requests; connections are kept and used again.
///
/// One thread drives all transfers of a client. Callbacks run on it, one at a time, and may block (write to disk, say);
/// transfers that must not wait for each other's disk belong to clients of their own. The thread ends with the client.
package final class HTTPClient: Sendable {
    private let loop: TransferLoop
    private let identity: ClientIdentity

    /// - Parameter caFile: certificates to trust instead of the system's; by default what `CURL_CA_BUNDLE` or
    ///   `SSL_CERT_FILE` names.
    package init(userAgent: String = "tgpipe", caFile: String? = nil) {
        identity = ClientIdentity(
            userAgent: userAgent,
            caFile: caFile ?? environmentValue("CURL_CA_BUNDLE") ?? environmentValue("SSL_CERT_FILE"))
        loop = TransferLoop()
    }

    deinit { loop.stop() }

    /// Sends a request and collects the answer's body, at most `maxBodyBytes` of it.
    package func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let collected = BodyCollector()
        let limit = request.maxBodyBytes
        let head = try await perform(
            request,
            onHead: { head in
                if let length = head.contentLength, length > limit, request.method != "HEAD" { throw BodyTooLong() }
                return .receive
            },
            onBody: { bytes in
                guard collected.bytes.count + bytes.count <= limit else { throw BodyTooLong() }
                collected.bytes.append(contentsOf: bytes)
            })
        return HTTPResponse(head: head, body: collected.bytes)
    }

    /// Streams the answer's body.
    ///
    /// `onHead` sees the final head (after redirects) once and says whether to go on; `onBody` gets the bytes as they
    /// come. Both run on the client's own thread, one call at a time, and may block. What one of them throws ends the
    /// transfer with `HTTPError.Code.sink` and is its `underlying` error. No call comes after this method returned.
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
        let transfer = try Transfer(request, identity: identity, onHead: onHead, onBody: onBody)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { loop.submit(transfer, $0) }
        } onCancel: {
            loop.cancel(transfer)
        }
        return try result.get()
    }
}

/// What all requests of a client say of themselves and whom they trust.
struct ClientIdentity: Sendable {
    let userAgent: String
    let caFile: String?
}

/// Thrown by `send`'s own sink; reported as `HTTPError.Code.tooLarge`.
struct BodyTooLong: Error {}

/// Written on the client's thread while the caller waits, read by the caller afterwards.
private final class BodyCollector: @unchecked Sendable {
    var bytes: [UInt8] = []
}

private func environmentValue(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
}
