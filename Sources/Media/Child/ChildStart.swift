import CChild
import Glibc

extension ChildCommand {
    /// Starts the program, on the thread that will wait for it: when that thread ends, so does the program.
    ///
    /// - Returns: the id of its group, and of the process that stands for it.
    func start(output: Int32, error: Int32) throws(MediaError) -> pid_t {
        guard let executable = executable else {
            throw MediaError(.missingProgram, "\(program.lastComponent) is not installed here.")
        }
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(input) }
        let environment = environment.map { "\($0.key)=\($0.value)" }
        let started = withCStrings([program] + arguments) { arguments in
            withCStrings(environment) { environment in
                executable.withCString { path in
                    directory.withCString { directory in
                        var child = tgp_child(
                            path: path, arguments: arguments, environment: environment, directory: directory,
                            input: input, output: output, error: error, max_file_bytes: maxFileBytes)
                        return tgp_child_start(&child)
                    }
                }
            }
        }
        guard started > 0 else { throw .local("start \(program.lastComponent)", -started) }
        return started
    }
}

/// Calls with a NULL-terminated array of C strings, valid during the call.
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
