import Accounts
import Glibc
import JSON
import Logging
import MTProto
import Options
import Stage
import System
import TL

/// Makes calls and writes their results. Parameters are never logged, because they may be secret.
struct Caller: Sendable {
    let runtime: Runtime
    let output: EventOutput
    let arguments: CallArguments

    /// Reads the parameters from the arguments or from standard input.
    func parameters(_ input: EventInput) async throws -> JSONObject {
        var text = Array(arguments.json.utf8)
        if arguments.json == "-" {
            text = []
            while let read = try await input.next() { text += try CallInput.joined(read) }
            guard text.count <= CallInput.maxBytes else { throw CallInput.tooLong }
        }
        return try CallInput.object(text, "the parameters")
    }

    /// Calls one method, and writes the result to standard output or Telegram's refusal to standard error.
    ///
    /// - Throws: errors other than Telegram's refusal.
    func call(_ method: String, _ parameters: JSONObject, as account: any Account) async throws -> ExitStatus {
        do {
            guard let result = try await answer(method, parameters, account) else { throw CancellationError() }
            try await output.write((arguments.pretty ? PrettyJSON.text(result) : result) + [UInt8(ascii: "\n")])
            return .success
        } catch let error as TelegramRPCError {
            let line =
                JSON.object(["error": .object(Caller.description(of: error, method))]).bytes + [UInt8(ascii: "\n")]
            line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            return error.exitStatus
        }
    }

    // MARK: --each

    /// Executes the calls on the lines of standard input one after the other, and writes a line for each.
    ///
    /// - Returns: the status of the first call that failed; success if none did.
    /// - Throws: errors after which further calls are of no use.
    func callEach(of input: EventInput, as account: any Account) async throws -> ExitStatus {
        var status = ExitStatus.success
        while let read = try await input.next() {
            for line in CallInput.lines(read) {
                guard let ended = try await answer(to: line, as: account) else { throw CancellationError() }
                if status == .success { status = ended }
                if Caller.isFinal(ended) { return ended }
            }
        }
        return status
    }

    private static func isFinal(_ status: ExitStatus) -> Bool {
        [.authenticationRefused, .protocolBroken, .configuration].contains(status)
    }

    /// Executes the call on one line, and writes the line with its result or error.
    ///
    /// - Returns: nil when the shutdown ended the call early.
    private func answer(to line: Line?, as account: any Account) async throws -> ExitStatus? {
        var id: JSON?
        var method: String?
        do {
            guard let line else { throw CallInput.tooLong }
            let request = try CallInput.object(line.bytes, "the line")
            id = request["id"]
            let call = try CallRequest(request)
            method = call.method
            guard let result = try await answer(call.method, call.parameters, account) else { return nil }
            let start = id.map { Array(#"{"id":"#.utf8) + $0.bytes + Array(",".utf8) } ?? Array("{".utf8)
            try await output.write(start + Array(#""result":"#.utf8) + result + Array("}\n".utf8))
            return .success
        } catch let error as any ReportableError {
            let object: JSONObject = ["id": id, "error": .object(Caller.description(of: error, method))]
            try await output.write(JSON.object(object).bytes + [UInt8(ascii: "\n")])
            return error.exitStatus
        }
    }

    // MARK: One call

    /// Executes a call.
    ///
    /// - Returns: the JSON text of the result; nil when the shutdown ended the call early.
    private func answer(
        _ method: String, _ parameters: JSONObject, _ account: any Account
    ) async throws -> [UInt8]? {
        try MethodNames(account.schema).check(method)
        var options = CallOptions()
        options.deadline = arguments.timeout.duration
        options.longestWait = arguments.waitFlood.duration
        let log = runtime.log
        options.onWait = { wait in
            log.notice(
                "waiting until \(Timestamp.now + wait.remaining), as Telegram demands (\(wait.reason))",
                metadata: ["method": "\(wait.method)"])
        }
        let parameters = Caller.withRandomID(parameters, of: method, in: account.schema)
        return try await runtime.shutdown.interrupting { [options] in
            try await account.call(method, parameters, options).text()
        }
    }

    /// Adds the `random_id` that a method demands and the caller left out. Telegram uses it to recognise a repeated message; without
    /// one of the caller's own, there is no repetition to recognise.
    static func withRandomID(_ parameters: JSONObject, of method: String, in schema: TLSchema) -> JSONObject {
        let wanted = schema.method(method)?.parameters.first { $0.name == "random_id" && !$0.isOptional }
        guard let wanted, parameters["random_id"] == nil else { return parameters }
        var parameters = parameters
        func random() -> JSON { .string(String(Int64.random(in: .min ... .max))) }
        switch (wanted.type, parameters["id"]?.array) {
        case ("long", _): parameters["random_id"] = random()
        // One number for each message.
        case ("Vector<long>", let messages?): parameters["random_id"] = .array(messages.map { _ in random() })
        default: break
        }
        return parameters
    }

    /// Returns an error as JSON for scripts, with the method's name.
    private static func description(of error: any Error, _ method: String?) -> JSONObject {
        var description = ErrorCoding.encode(error)
        description["method"] = method.map { .string($0) }
        return description
    }
}
