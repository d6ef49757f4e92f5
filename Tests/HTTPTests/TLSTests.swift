import Foundation
import Testing

@testable import HTTP

@Suite struct TLSTests {
    @Test func `An untrusted certificate is refused and a named one is accepted`() async throws {
        let server = try TLSServer()
        defer { server.stop() }
        let url = "https://localhost:\(server.port)/"
        let error = await #expect(throws: HTTPError.self) { try await HTTPClient().send(HTTPRequest("GET", url)) }
        #expect(error?.code == .tls)
        #expect(error?.isTransient == false)
        #expect(error?.message == "no secure connection to localhost: its certificate is self-signed")
        let trusting = HTTPClient(caFile: server.certificate)
        #expect(try await trusting.send(HTTPRequest("GET", url)).status == 200)
        let other = HTTPRequest("GET", "https://127.0.0.1:\(server.port)/")
        let mismatch = await #expect(throws: HTTPError.self) { try await trusting.send(other) }
        #expect(mismatch?.code == .tls)
    }
}

/// `openssl s_server` with a certificate for `localhost` that it signed itself.
private final class TLSServer {
    let port: Int
    let certificate: String
    private let folder: URL
    private let process = Process()

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        certificate = folder.appendingPathComponent("cert.pem").path
        let key = folder.appendingPathComponent("key.pem").path
        let options =
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        let request = Process()
        request.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        request.arguments = options.split(separator: " ").map(String.init) + ["-keyout", key, "-out", certificate]
        request.standardError = FileHandle.nullDevice
        try request.run()
        request.waitUntilExit()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = ["s_server", "-www", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var text = ""
        while !text.contains("ACCEPT 127.0.0.1:") || !text.hasSuffix("\n") {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty)
            text += String(decoding: data, as: UTF8.self)
        }
        port = try #require(text.split(separator: ":").last.flatMap { Int($0.split(separator: "\n")[0]) })
    }

    func stop() {
        // It was started by a thread that blocks SIGTERM, so it does too.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}
