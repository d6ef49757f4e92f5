import CSSL
import Glibc
import System

/// Encrypts one connection with TLS, through OpenSSL: Debian 12's hiredis has no TLS of its own.
///
/// It reads whole records of at most 16 KiB, the size of the buffer that it fills, so that no decrypted byte is left in it when the
/// descriptor is polled.
final class TLSSession {
    private let session: OpaquePointer
    private let address: RedisAddress

    /// Prepares the connection of a descriptor. The files are read anew for each connection, so that renewed certificates are used.
    ///
    /// - Throws: `.configuration`, with the file that cannot be used.
    init(_ tls: RedisAddress.TLS, to host: String, over descriptor: Int32, at address: RedisAddress) throws(RedisError)
    {
        self.address = address
        ERR_clear_error()
        guard let context = tgp_tls_context() else { throw Self.outOfMemory }
        defer { SSL_CTX_free(context) }
        // Without this, a key with a passphrase would ask for it on the terminal.
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in 0 }
        if let authorities = tls.authorities {
            guard SSL_CTX_load_verify_file(context, authorities) == 1 else {
                throw Self.unusable(authorities, "certificates of authorities (cacert)")
            }
        } else {
            SSL_CTX_set_default_verify_paths(context)
        }
        if let certificate = tls.certificate, let key = tls.key {
            guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
                throw Self.unusable(certificate, "a certificate (cert)")
            }
            guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
                SSL_CTX_check_private_key(context) == 1
            else { throw Self.unusable(key, "the certificate's key without a passphrase (key)") }
        }
        guard let session = SSL_new(context) else { throw Self.outOfMemory }
        self.session = session
        guard SSL_set_fd(session, descriptor) == 1, tgp_tls_expect_name(session, tls.serverName ?? host) else {
            throw RedisError(.configuration, "the name of the Redis server cannot stand in a certificate")
        }
    }

    deinit { SSL_free(session) }

    private static var outOfMemory: RedisError { RedisError(.unreachable, "out of memory") }

    private static func unusable(_ path: String, _ content: String) -> RedisError {
        RedisError(
            .configuration,
            "unable to use \(path.printable(atMost: 300)) as the file of \(content) for Redis: \(lastReason)")
    }

    /// Agrees on the keys and verifies the server's certificate.
    ///
    /// - Throws: `.certificate` for a certificate that one side refuses, otherwise `.unreachable`.
    func handshake(until deadline: Deadline, waiter: PollWaiter, descriptor: Int32) throws(RedisError) {
        while true {
            ERR_clear_error()
            let result = SSL_connect(session)
            if result == 1 { return }
            let events: Int32
            switch SSL_get_error(session, result) {
            case SSL_ERROR_WANT_READ: events = Int32(POLLIN)
            case SSL_ERROR_WANT_WRITE: events = Int32(POLLOUT)
            default: throw refused
            }
            switch waiter.waitThrough(for: events, on: descriptor, until: deadline) {
            case .ready: continue
            case .stopped: throw RedisError(.closed, "the connection to Redis at \(address) is closed")
            case .timedOut, .woken: throw noTLS("no answer in time")
            }
        }
    }

    /// Explains why the handshake failed.
    private var refused: RedisError {
        let verified = SSL_get_verify_result(session)
        guard verified == Int(X509_V_OK) else {
            let reason = String(cString: X509_verify_cert_error_string(verified))
            return RedisError(
                .certificate, "the certificate of Redis at \(address) is refused: \(reason); \(Self.advice(verified))")
        }
        let reason = Self.lastReason
        if let refusal = Self.refusalOfClient(reason, address) { return refusal }
        return noTLS(reason)
    }

    /// Servers without TLS answer the first bytes with plain text, wait for more, or close the connection.
    private func noTLS(_ reason: String) -> RedisError {
        RedisError(
            .unreachable,
            "Redis at \(address) does not answer in TLS (\(reason)): if it has none, write redis:// instead of rediss://"
        )
    }

    private static func advice(_ code: Int) -> String {
        switch Int32(truncatingIfNeeded: code) {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            "connect by a name that is in it, or give this name with ?servername=NAME"
        case X509_V_ERR_CERT_HAS_EXPIRED: "renew it on the server"
        case X509_V_ERR_CERT_NOT_YET_VALID: "see whether the clock of this machine and the certificate are right"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
            "give the certificate of the authority that signed it with ?cacert=/path"
        default: "see the server's certificate with: openssl s_client -connect HOST:PORT"
        }
    }

    /// Returns an error if a reason says that the server refuses the certificate of this side, or misses one.
    private static func refusalOfClient(_ reason: String, _ address: RedisAddress) -> RedisError? {
        guard reason.contains("alert"), ["certificate", "unknown ca", "access denied"].contains(where: reason.contains)
        else { return nil }
        return RedisError(
            .certificate,
            "Redis at \(address) wants another certificate of this side (\(reason)): give one that an authority of the"
                + " server has signed, with ?cert=/path&key=/path")
    }

    private static var lastReason: String {
        let code = ERR_peek_last_error()
        if code == 0 { return errno == 0 ? "the connection was closed" : systemReason(errno) }
        return ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
    }

    /// Sends as many bytes as the system accepts now; the same bytes are given again where it accepts none.
    func send(_ bytes: UnsafeRawBufferPointer) -> Socket.Moved {
        ERR_clear_error()
        let sent = moved(SSL_write(session, bytes.baseAddress, Int32(clamping: bytes.count)))
        guard case .lost = sent else { return sent }
        // The server says why it closes the connection before it does.
        var byte: UInt8 = 0
        ERR_clear_error()
        if case .refused(let error) = moved(SSL_read(session, &byte, 1)) { return .refused(error) }
        return sent
    }

    /// Reads the bytes that have arrived, at most those of one record.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Socket.Moved {
        ERR_clear_error()
        return moved(SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count)))
    }

    private func moved(_ count: Int32) -> Socket.Moved {
        if count > 0 { return .bytes(Int(count)) }
        switch SSL_get_error(session, count) {
        // A wait for the other direction is over soon: only the renewal of keys causes one.
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
        case SSL_ERROR_ZERO_RETURN: return .lost(reason: Socket.closedByServer)
        default:
            let reason = Self.lastReason
            return Self.refusalOfClient(reason, address).map(Socket.Moved.refused) ?? .lost(reason: reason)
        }
    }
}
