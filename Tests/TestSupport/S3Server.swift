import Glibc

/// A real S3 server (OpenStack Swift) on loopback with all of its data in a folder of its own; stopped when it goes out of use.
///
/// It takes two seconds to start: share one, and use a bucket a test.
package final class S3Server: Sendable {
    package static let accessKey = "test:tester"
    package static let secretKey = "testing"
    package static let region = "us-east-1"

    package let port: Int
    package var endpoint: String { "http://127.0.0.1:\(port)" }

    private let folder: TemporaryFolder
    private let program: SpawnedProgram
    /// The server ends when this end of its standard input is closed, also by the death of the tests.
    private let input: Int32

    package struct NotStarted: Error {
        package let reason: String
    }

    package init() throws {
        let folder = try TemporaryFolder()
        var ports: [Int] = []
        while ports.count < 4 {
            let port = try RedisServer.freePort()
            if !ports.contains(port) { ports.append(port) }
        }
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw NotStarted(reason: "no descriptors left") }
        let script = "\(testFolder)/TestSupport/s3-server.sh"
        let words = try [script, folder.path, PythonTools.binFolder()] + ports.map(String.init)
        let program: SpawnedProgram
        do {
            // Closed before the greeting is waited for: the end of a script that fails must be seen.
            defer { close(ends[1]) }
            program = try SpawnedProgram(words, descriptors: [ends[1], ends[1], 2])
        }
        var greeting = [UInt8](repeating: 0, count: 256)
        guard recv(ends[0], &greeting, greeting.count, 0) > 0 else {
            throw NotStarted(reason: "s3-server.sh ended with \(program.wait())")
        }
        (self.folder, self.program, port, input) = (folder, program, ports[0], ends[0])
    }

    deinit {
        close(input)
        program.wait()
    }

    /// What a tool needs in its environment to use this server.
    package var environment: [String: String] {
        [
            "TGPIPE_S3_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": Self.accessKey,
            "AWS_SECRET_ACCESS_KEY": Self.secretKey, "AWS_REGION": Self.region,
        ]
    }
}

/// The programs of Tests/requirements.txt.
package enum PythonTools {
    package struct Missing: Error {
        package let reason: String
    }

    /// The bin folder of their virtual environment.
    package static func binFolder() throws -> String {
        guard let folder = getenv("TGPIPE_TEST_VENV") else {
            throw Missing(
                reason: "TGPIPE_TEST_VENV must be the bin folder of an environment with Tests/requirements.txt")
        }
        return String(cString: folder)
    }

    /// Runs a script with the environment's Python; what it prints.
    package static func run(_ script: String, _ arguments: [String]) throws -> String {
        try SpawnedProgram.output(of: ["\(binFolder())/python3", script] + arguments)
    }
}

/// The folder `Tests` of the sources.
package var testFolder: String {
    #filePath.split(separator: "/").dropLast(2).reduce(into: "") { $0 += "/" + $1 }
}
