import Foundation

/// Makes certificates with the program `openssl`: an authority, and what it signs.
package final class TestCertificates: Sendable {
    package struct Pair: Sendable {
        package let certificate: String
        package let key: String
    }

    package let folder: TemporaryFolder
    /// The certificate of the authority.
    package let authority: String
    private let authorityKey: String

    package init() throws {
        folder = try TemporaryFolder()
        (authority, authorityKey) = (folder("authority.pem"), folder("authority.key"))
        try Self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj",
            "/CN=test authority", "-keyout", authorityKey, "-out", authority)
    }

    /// Signs a certificate.
    ///
    /// - Parameters:
    ///   - names: the field `subjectAltName`, such as `DNS:localhost,IP:127.0.0.1`.
    ///   - isExpired: it was valid for a day of the year 2020.
    package func sign(_ name: String, names: String, isExpired: Bool = false) throws -> Pair {
        let pair = Pair(certificate: folder("\(name).pem"), key: folder("\(name).key"))
        let (request, fields) = (folder("\(name).csr"), folder("\(name).cnf"))
        try Self.openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=\(name)",
            "-keyout", pair.key, "-out", request)
        let index = folder("\(name).index")
        let text = """
            [ca]
            default_ca = own
            [own]
            database = \(index)
            new_certs_dir = \(folder.path)
            rand_serial = yes
            default_md = sha256
            policy = any
            x509_extensions = fields
            [any]
            commonName = supplied
            [fields]
            subjectAltName = \(names)

            """
        try text.write(toFile: fields, atomically: true, encoding: .utf8)
        try "".write(toFile: index, atomically: true, encoding: .utf8)
        let dates =
            isExpired ? ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] : ["-days", "2"]
        try Self.openssl(
            [
                "ca", "-batch", "-config", fields, "-cert", authority, "-keyfile", authorityKey, "-in", request, "-out",
                pair.certificate, "-notext",
            ] + dates)
        return pair
    }

    private static func openssl(_ words: String...) throws { try openssl(words) }

    private static func openssl(_ words: [String]) throws {
        guard try SpawnedProgram(["openssl"] + words).wait() == 0 else {
            throw SpawnedProgram.Failure(reason: "openssl \(words.joined(separator: " ")) failed")
        }
    }
}
