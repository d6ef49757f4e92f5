import Client
import Envelope
import Glibc
import MTProto
import Stage

/// Makes calls, and writes what comes of them. What is called with which parameters is never logged.
struct Caller: Sendable {
    let runtime: Runtime
    let output: EventOutput
    let arguments: CallArguments

    /// The parameters, from the arguments or standard input.
    func parameters(_ input: EventInput) async throws -> JSONObject {
        var text = Array(arguments.json.utf8)
        if arguments.json == "-" {
            text = []
            while let read = try await input.next() { text += try CallInput.joined(read) }
            guard text.count <= CallInput.maxBytes else { throw CallInput.tooLong }
        }
        return try CallInput.object(text, "the parameters")
    }

    /// - Throws: what did not come from Telegram.
    func call(_ method: String, _ parameters: JSONObject, as account: any Account) async throws -> ExitStatus {
        do {
            guard let result = try await answer(method, parameters, account) else { throw CancellationError() }
            try await output.write((arguments.pretty ? PrettyJSON.text(result) : result) + [UInt8(ascii: "\n")])
            return .success
        } catch let error as TelegramRPCError {
            let line = JSON.object(["error": .object(Caller.told(error, of: method))]).bytes + [UInt8(ascii: "\n")]
            line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            return error.exitStatus
        }
    }

    /// nil: the shutdown cut it short.
    func answer(
        _ method: String, _ parameters: JSONObject, _ account: any Account
    ) async throws -> [UInt8]? {
        try MethodNames(account.schema).check(method)
        var options = CallOptions()
        options.deadline = arguments.timeout.duration
        options.longestWait = arguments.waitFlood.duration
        let log = runtime.log
        options.onWait = { wait in
            log.notice(
                "waiting until \(Timestamp.now + wait.remaining), as Telegram wants it (\(wait.reason))",
                metadata: ["method": "\(wait.method)"])
        }
        return try await runtime.shutdown.interrupting { [options] in
            try await account.call(method, parameters, options)
        }
    }

    /// What went wrong, for scripts.
    static func told(_ error: any Error, of method: String?) -> JSONObject {
        var told = Failure.json(error)
        told["method"] = method.map { .string($0) }
        return told
    }
}
