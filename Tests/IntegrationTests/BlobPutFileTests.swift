import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct BlobPutFileTests {
    private static let shared = Result { try S3Server() }

    private let server: S3Server
    private let folder: TemporaryFolder
    private let bucket = "test-\(UInt64.random(in: 0...UInt64.max))"
    private let helloSum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

    init() throws {
        server = try Self.shared.get()
        folder = try TemporaryFolder()
    }

    private func put(_ arguments: [String], environment: [String: String] = [:]) async throws -> ToolRun.Result {
        let result = try await ToolRun.run(
            "blob-put", arguments, environment: server.environment.merging(environment) { $1 }, folder: folder)
        #expect(!(result.output + result.errors).contains(S3Server.secretKey))
        return result
    }

    private func write(_ text: String, _ name: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder(name)))
        return folder(name)
    }

    @Test func `A file is stored under its own hash`() async throws {
        let arguments = ["--store", "s3://\(bucket)", "--create-bucket", "--file", try write("hello", "Кот 1.MP4")]
        for existed in [false, true] {
            let result = try await put(arguments)
            #expect(result.status == 0)
            #expect(result.lines.count == 1)
            let event = try #require(try result.envelopes().first)
            #expect(event.type == "events.blob.stored")
            #expect(event.payload["key"] == .string("blob/\(helloSum).mp4"))
            #expect(event.payload["sha256"] == .string(helloSum))
            #expect(event.payload["size_bytes"] == 5)
            #expect(event.payload["content_type"] == "video/mp4")
            #expect(event.payload["existed"] == .bool(existed))
            let url = try #require(event.payload["url"]?.string)
            let answer = try SpawnedProgram.output(of: ["curl", "-sSi", url])
            #expect(answer.hasSuffix("hello"))
            #expect(answer.contains("filename*=UTF-8''%D0%9A%D0%BE%D1%82%201.MP4"))
        }
        // The file is still its owner's.
        #expect(FileManager.default.fileExists(atPath: folder("Кот 1.MP4")))
    }

    @Test(arguments: ["<(printf hello)", "/dev/stdin < <(printf hello)", "fifo & printf hello > fifo; wait $!"])
    func `A pipe is read to its end and stored`(_ file: String) async throws {
        let command =
            "cd \(folder("")) || exit; rm -f fifo; mkfifo fifo; \(ToolRun.path(of: "blob-put")) --store file:\(folder("objects")) --file \(file)"
        let output = try SpawnedProgram.output(of: ["bash", "-c", command])
        let payload = try #require(try JSON(parsing: output)["payload"])
        #expect(payload["size_bytes"] == 5 && payload["sha256"] == .string(helloSum))
        #expect(payload["key"] == .string("blob/\(helloSum)"))
    }

    @Test func `What cannot be read is refused with the system's reason`() async throws {
        for (path, reason) in [
            (folder("none"), "No such file"), (folder(""), "folder"), ("/proc/self/mem", "Input/output error"),
        ] {
            let result = try await put(["--store", "file:\(folder("objects"))", "--file", path])
            #expect(result.status == 74 && result.errors.contains(reason), "\(path): \(result.errors)")
        }
    }

    @Test func `Key, content type, name and metadata can be given`() async throws {
        let result = try await put([
            "--store", "file:\(folder("objects"))", "--file", try write("hello", "x.odd ext"), "--key", "a/b",
            "--content-type", "text/plain", "--name", "y.txt", "--meta", "title=Кот = кот", "--meta", "n=1",
        ])
        #expect(try result.envelopes().first?.payload["key"] == "a/b")
        #expect(try result.envelopes().first?.payload["path"] == .string(folder("objects/a/b")))
        let sidecar = try JSON(
            parsing: String(contentsOfFile: folder("objects/.tgpipe/meta/a/b.json"), encoding: .utf8))
        #expect(sidecar["content_type"] == "text/plain")
        #expect(sidecar["file_name"] == "y.txt")
        #expect(sidecar["user"]?["title"] == "Кот = кот")
        #expect(sidecar["user"]?["n"] == "1")
    }

    @Test func `An unusual extension is left out of the key`() async throws {
        let result = try await put(["--store", "file:\(folder("objects"))", "--file", try write("hello", "x.odd ext")])
        #expect(try result.envelopes().first?.payload["key"] == .string("blob/\(helloSum)"))
        #expect(try result.envelopes().first?.payload["content_type"] == "application/octet-stream")
    }

    @Test func `The exit status tells the kind of failure`() async throws {
        let file = try write("hello", "x")
        let s3 = ["--store", "s3://\(bucket)"]
        let nobody = "http://127.0.0.1:\(try LoopbackListener.freePort())"
        let cases: [(Int32, [String], [String: String])] = [
            (64, s3 + ["--key", "k"], [:]), (64, s3 + ["--file", file, "--expires", "8d"], [:]),
            (64, s3 + ["--file", file, "--meta", "x"], [:]),
            (69, s3 + ["--file", file], ["TGPIPE_S3_ENDPOINT": nobody]),
            (74, s3 + ["--file", folder("missing")], [:]), (74, s3 + ["--file", folder.path], [:]),
            (77, s3 + ["--file", file], ["AWS_SECRET_ACCESS_KEY": "wrong"]),
            (78, s3 + ["--file", file], [:]), (78, s3 + ["--file", file], ["AWS_SECRET_ACCESS_KEY": ""]),
            (78, ["--store", "ftp://x", "--file", file], [:]),
            (78, s3 + ["--file", file, "--endpoint", "nonsense"], [:]),
            (78, s3 + ["--file", file, "--part-size", "1M"], [:]),
            (78, s3 + ["--file", file, "--unsigned-payload"], [:]),
            (78, s3 + ["--file", file, "--credentials-file", folder("missing")], [:]),
        ]
        for (status, arguments, environment) in cases {
            let result = try await put(arguments, environment: environment)
            #expect(result.status == status, "\(arguments) \(environment): \(result.errors)")
            #expect(result.output.isEmpty)
        }
    }

    @Test(arguments: [5, 2 << 20])
    func `A web site is not taken for a store`(_ size: Int) async throws {
        let site = try WebSite(root: folder.path)
        let file = try write(String(repeating: "x", count: size), "x")
        let result = try await put(
            ["--store", "s3://\(bucket)", "--file", file], environment: ["TGPIPE_S3_ENDPOINT": site.url])
        #expect(result.status == 78)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("is not an S3 server"))
    }

    @Test func `Access keys may come from a file`() async throws {
        let keys = try write(
            "# mine\n[other]\naws_access_key_id = no\n[default]\naws_access_key_id = test:tester\n"
                + "aws_secret_access_key = \"testing\"\n", "keys")
        let result = try await put(
            [
                "--store", "s3://\(bucket)", "--create-bucket", "--file", try write("hello", "x"), "--credentials-file",
                keys,
            ],
            environment: ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "wrong"])
        #expect(result.status == 0)
    }

    @Test func `An interrupted upload leaves nothing behind`() async throws {
        let proxy = try FaultyProxy(to: server.port, [.init("PUT", contains: "partNumber=2&", .hang)])
        let file = try write("", "large.bin")
        truncate(file, 12 << 20)
        let run = try ToolRun(
            "blob-put",
            [
                "--store", "s3://\(bucket)", "--create-bucket", "--file", file, "--multipart-threshold", "5M",
                "--part-size", "5M",
            ], environment: server.environment.merging(["TGPIPE_S3_ENDPOINT": proxy.endpoint]) { $1 }, folder: folder)
        #expect(try await eventually { proxy.requests.contains { $0.target.contains("partNumber=2&") } })
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 143)
        #expect(result.output.isEmpty)
        let code = """
            import boto3, sys
            s3 = boto3.client('s3', endpoint_url=sys.argv[1], aws_access_key_id='test:tester',
                aws_secret_access_key='testing', region_name='us-east-1')
            print(len(s3.list_multipart_uploads(Bucket=sys.argv[2]).get('Uploads', [])))
            """
        #expect(try PythonTools.run("-c", [code, server.endpoint, bucket]) == "0\n")
    }
}
