import CCurl
import Glibc

/// What libcurl's error codes mean to a caller.
extension Transfer {
    func refuseAddress() {
        addressWasRefused = true
    }

    var refusal: HTTPError { HTTPError(.refusedAddress, "\(peer) is not on the public internet") }

    func error(for code: CURLcode) -> HTTPError {
        switch code {
        case CURLE_COULDNT_CONNECT where addressWasRefused:
            refusal
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            HTTPError(.unreachable, "no address found for \(peer)")
        case CURLE_COULDNT_CONNECT:
            HTTPError(.unreachable, "unable to connect to \(peer)\(systemReason)")
        case CURLE_OPERATION_TIMEDOUT:
            HTTPError(.timedOut, "connecting to \(peer) took longer than \(request.connectTimeout)")
        case CURLE_UNSUPPORTED_PROTOCOL where !isRedirected:
            HTTPError(.protocolError, "\(peer) does not speak HTTP")
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            HTTPError(.invalidURL, "\(peer) redirected to what is no http or https URL")
        case CURLE_TOO_MANY_REDIRECTS:
            HTTPError(.redirectLoop, "\(peer) redirected more than \(request.maxRedirects) times")
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR:
            HTTPError(.truncated, "\(peer) closed the connection before the end\(systemReason)")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            HTTPError(.tls, "no secure connection to \(peer): \(tlsReason(code))")
        case CURLE_SSL_CACERT_BADFILE:
            HTTPError(.tls, "unable to read the file of trusted certificates")
        case CURLE_OUT_OF_MEMORY:
            HTTPError(.localIO, "out of memory")
        default:
            HTTPError(.protocolError, "\(peer): \(String(cString: curl_easy_strerror(code)))")
        }
    }

    private var systemReason: String {
        var number: Int = 0
        guard tgpipe_curl_get_long(easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK, number != 0 else { return "" }
        return ": \(String(cString: strerror(Int32(number))))"
    }

    /// The verification's own result says more than libcurl's one code for all of them.
    private func tlsReason(_ code: CURLcode) -> String {
        var verdict = 0
        _ = tgpipe_curl_get_long(easy, CURLINFO_SSL_VERIFYRESULT, &verdict)
        switch verdict {
        case 10: return "its certificate has expired"
        case 18, 19: return "its certificate is self-signed"
        case 20, 21: return "its certificate was signed by nobody who is trusted here"
        default: return String(cString: curl_easy_strerror(code))
        }
    }
}
