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
            report(error, method)
            return error.exitStatus
        }
    }

    /// Writes Telegram's refusal to standard error.
    private func report(_ error: TelegramRPCError, _ method: String) {
        let line =
            JSON.object(["error": .object(Caller.description(of: error, method))]).bytes + [UInt8(ascii: "\n")]
        line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
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

    // MARK: --dialogs

    /// Writes a line for each of the account's chats: JSON, or text for people on a terminal.
    func listDialogs(of account: any Account, isForPeople: Bool) async throws -> ExitStatus {
        let reader = DialogReader { method, parameters in
            try await value(method, parameters, account)?.json()
        }
        do {
            try await reader.read { dialogs in
                let lines: [UInt8] = dialogs.flatMap {
                    Array((isForPeople ? $0.text : JSON.object($0.json).text).utf8) + [0x0A]
                }
                try await output.write(lines)
            }
            return .success
        } catch let error as TelegramRPCError {
            report(error, "messages.getDialogs")
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
        try await value(method, parameters, account)?.text()
    }

    /// Executes a call.
    ///
    /// - Returns: nil when the shutdown ended the call early.
    private func value(
        _ method: String, _ parameters: JSONObject, _ account: any Account
    ) async throws -> TLValue? {
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
        let parameters = CallDefaults(account.schema).completed(parameters, of: method)
        return try await runtime.shutdown.interrupting { [options] in
            try await account.call(method, parameters, options)
        }
    }

    /// Returns an error as JSON for scripts, with the method's name.
    private static func description(of error: any Error, _ method: String?) -> JSONObject {
        var description = ErrorCoding.encode(error)
        description["method"] = method.map { .string($0) }
        return description
    }
}
