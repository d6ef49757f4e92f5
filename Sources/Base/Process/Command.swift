import CChild
import Glibc
import System

/// Describes a program to start: what it is, its arguments, its surroundings and its limits.
package struct Command: Sendable {
    /// A path, or a name to look up in `PATH`.
    package var program: String
    /// The words after the program's name.
    package var arguments: [String]
    /// All of the program's environment; nil gives it a copy of this process's environment.
    package var environment: [String: String]?
    /// Variables that the program gets beside those of `environment`; they take precedence.
    package var additions: [String: String] = [:]
    /// The working folder; nil keeps this process's folder.
    package var directory: String?
    /// The longest file that the program may write, in bytes; 0 sets no limit.
    package var maxFileBytes: UInt64
    /// Confines the program if it is not nil. A confined program has to end with its parent.
    package var jail: Jail?

    package init(
        _ program: String, _ arguments: [String] = [], environment: [String: String]? = nil, directory: String? = nil,
        maxFileBytes: UInt64 = 0
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.maxFileBytes = maxFileBytes
    }

    /// Describes a shell that runs a command line.
    package static func shell(_ commandLine: String) -> Command { Command("/bin/sh", ["-c", commandLine]) }

    /// The absolute path of the file to execute, found as a shell finds it; nil when there is no such program.
    package var executable: String? {
        if program.contains("/") { return Command.isProgram(program) ? absolutePath(program) : nil }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        return folders.split(separator: ":").lazy.map { "\($0)/\(program)" }.first(where: Command.isProgram)
            .map(absolutePath)
    }

    private static func isProgram(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Starts the program.
    ///
    /// - Returns: the process id, or a negative error number.
    func start(_ executable: String, streams: (Int32, Int32, Int32), isGuarded: Bool) -> pid_t {
        withCStrings([program] + arguments) { arguments in
            withEnvironment { environment in
                executable.withCString { path in
                    withOptionalCString(directory) { directory in
                        var child = tgp_child(
                            path: path, arguments: arguments,
                            environment: environment, directory: directory,
                            input: streams.0, output: streams.1, error: streams.2, max_file_bytes: maxFileBytes,
                            is_guarded: isGuarded, jail: nil)
                        guard let jail else { return tgp_child_start(&child) }
                        return jail.withChildForm { form in
                            child.jail = form
                            return tgp_child_start(&child)
                        }
                    }
                }
            }
        }
    }

    /// Calls `body` with the program's variables as an array of C strings that ends with NULL; it is valid during the call.
    private func withEnvironment<Result>(_ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
        if let environment {
            return withCStrings(environment.merging(additions) { $1 }.map { "\($0.key)=\($0.value)" }, body)
        }
        guard !additions.isEmpty else { return body(Linux.environment) }
        // This process's own variables are handed on as they are: their bytes need not be UTF-8.
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var place = Linux.environment
        while let variable = place.pointee {
            let isReplaced = additions.keys.contains { strncmp(variable, "\($0)=", $0.utf8.count + 1) == 0 }
            if !isReplaced { variables.append(variable) }
            place += 1
        }
        return withCStrings(additions.map { "\($0.key)=\($0.value)" }) { added in
            var place = added
            while let variable = place.pointee {
                variables.append(variable)
                place += 1
            }
            return (variables + [nil]).withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { preconditionFailure("the array holds a nil at least") }
                return body(base)
            }
        }
    }
}

/// Calls `body` with an array of C strings that ends with NULL; it is valid during the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    let pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the array holds a nil at least") }
        return body(base)
    }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString(body)
}
