import Glibc

/// Runs a real S3 server (OpenStack Swift) on loopback with its data in a temporary folder, until the object is
/// released.
///
/// The server takes two seconds to start, so tests share one and each test uses its own bucket.
package final class S3Server: Sendable {
    package static let accessKey = "test:tester"
    package static let secretKey = "testing"
    package static let region = "us-east-1"

    package let port: Int
    package var endpoint: String { "http://127.0.0.1:\(port)" }

    private let folder: TemporaryFolder
    private let program: SpawnedProgram
    /// The other end of the server's standard input. The server ends when it is closed, also if the tests are killed.
    private let input: Int32

    package struct NotStarted: Error {
        package let reason: String
    }

    package init() throws {
        let folder = try TemporaryFolder()
        var ports: [Int] = []
        while ports.count < 4 {
            let port = try LoopbackListener.freePort()
            if !ports.contains(port) { ports.append(port) }
        }
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw NotStarted(reason: "no descriptors left") }
        let script = "\(testFolder)/TestSupport/s3-server.sh"
        let words = try [script, folder.path, PythonTools.binFolder()] + ports.map(String.init)
        let program: SpawnedProgram
        do {
            // This end is closed before the wait for the greeting; otherwise the end of a failed script would go
            // unnoticed.
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

    /// The environment variables with which a tool uses this server.
    package var environment: [String: String] {
        [
            "TGPIPE_S3_ENDPOINT": endpoint, "AWS_ACCESS_KEY_ID": Self.accessKey,
            "AWS_SECRET_ACCESS_KEY": Self.secretKey, "AWS_REGION": Self.region,
        ]
    }
}

/// Finds the programs of Tests/requirements.txt.
package enum PythonTools {
    package struct Missing: Error {
        package let reason: String
    }

    /// Returns the bin folder of the virtual environment.
    package static func binFolder() throws -> String {
        guard let folder = getenv("TGPIPE_TEST_VENV") else {
            throw Missing(
                reason: "TGPIPE_TEST_VENV must be the bin folder of an environment with Tests/requirements.txt")
        }
        return String(cString: folder)
    }

    /// Runs a script with the environment's Python and returns its output.
    package static func run(_ script: String, _ arguments: [String]) throws -> String {
        try SpawnedProgram.output(of: ["\(binFolder())/python3", script] + arguments)
    }
}

/// The path of the folder `Tests` of the sources.
package var testFolder: String {
    #filePath.split(separator: "/").dropLast(2).reduce(into: "") { $0 += "/" + $1 }
}
