import Foundation
import HTTP
import JSON
import System
import TestSupport

@testable import Blob

/// A bucket of one test on the server that all tests share, and a folder beside it.
struct S3Bucket {
    private static let shared = Result { try S3Server() }

    let server: S3Server
    let name = "test-\(UInt64.random(in: 0...UInt64.max))"
    let folder: TemporaryFolder

    init() async throws {
        server = try Self.shared.get()
        folder = try TemporaryFolder()
        try await client().createBucket()
    }

    func environment(
        endpoint: String? = nil, secret: String = S3Server.secretKey, accessKey: String = S3Server.accessKey
    )
        -> Environment
    {
        var values = server.environment
        values["TGPIPE_S3_ENDPOINT"] = endpoint ?? server.endpoint
        values["AWS_SECRET_ACCESS_KEY"] = secret
        values["AWS_ACCESS_KEY_ID"] = accessKey
        return { [values] in values[$0] }
    }

    /// - Parameter clockAhead: how far this machine's clock is ahead of the server's.
    func client(
        bucket: String? = nil, prefix: String = "", options: S3Options = S3Options(), endpoint: String? = nil,
        secret: String = S3Server.secretKey, accessKey: String = S3Server.accessKey, clockAhead: Duration = .zero
    ) throws -> S3Client {
        let configuration = try S3Configuration(
            bucket: bucket ?? name, prefix: prefix, options: options,
            environment: environment(endpoint: endpoint, secret: secret, accessKey: accessKey))
        let retry = RetryPolicy(
            attempts: 4, backoff: Backoff(first: .milliseconds(2), longest: .milliseconds(20)))
        return S3Client(configuration, retry: retry, clock: { .now + clockAhead })
    }

    var store: S3Store { get throws { S3Store(client: try client()) } }

    /// Returns a store that reaches the server through a proxy with these faults.
    func store(behind proxy: FaultyProxy, options: S3Options = S3Options()) throws -> S3Store {
        S3Store(client: try client(options: options, endpoint: proxy.endpoint))
    }

    func proxy(_ rules: FaultyProxy.Rule...) throws -> FaultyProxy { try FaultyProxy(to: server.port, rules) }

    func file(_ text: String, _ name: String = "source") throws -> LocalFile {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder(name)))
        return try LocalFile(path: folder(name))
    }

    /// A file without two equal parts.
    func file(sizeBytes: Int) throws -> LocalFile {
        try Data(distinctBytes(sizeBytes)).write(to: URL(fileURLWithPath: folder("source")))
        return try LocalFile(path: folder("source"))
    }

    func text(_ name: String) throws -> String { try String(contentsOfFile: folder(name), encoding: .utf8) }

    /// Returns whether two files of the folder hold the same bytes.
    func isSame(_ one: String, _ other: String) -> Bool {
        FileManager.default.contentsEqual(atPath: folder(one), andPath: folder(other))
    }

    /// Returns the number of multipart uploads that were started and neither completed nor aborted.
    func unfinishedUploads() async throws -> Int {
        var call = S3Call("GET", key: nil)
        call.query = [("uploads", "")]
        let answer = try await client().send(call).response.body
        return String(decoding: answer, as: UTF8.self).components(separatedBy: "<UploadId>").count - 1
    }
}

/// Returns whether an error is a `BlobError` of this code, and says nothing secret.
func isBlobError(_ error: any Error, _ code: BlobError.Code) -> Bool {
    guard let error = error as? BlobError else { return false }
    let secrets = [S3Server.secretKey, "Signature=", "X-Amz", "AWS4"]
    return error.code == code && !secrets.contains { error.message.contains($0) }
}

/// The answers of servers that are overloaded, or do not support conditions.
let slowDown = FaultyProxy.Fault.answer(503, body: "<Error><Code>SlowDown</Code></Error>")
let notImplemented = FaultyProxy.Fault.answer(501, body: "<Error><Code>NotImplemented</Code></Error>")
