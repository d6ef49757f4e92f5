import Accounts
import Glibc
import JSON
import Logging
import MTProto
import Options
import Stage
import System
import TL

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
        let parameters = Caller.withRandomID(parameters, of: method, in: account.schema)
        return try await runtime.shutdown.interrupting { [options] in
            try await account.call(method, parameters, options)
        }
    }

    /// Telegram knows a message that is sent twice by its `random_id`. Who does not give one does not send it twice.
    static func withRandomID(_ parameters: JSONObject, of method: String, in schema: TLSchema) -> JSONObject {
        let wanted = schema.method(method)?.parameters.first { $0.name == "random_id" && !$0.isOptional }
        guard let wanted, parameters["random_id"] == nil else { return parameters }
        var parameters = parameters
        func random() -> JSON { .string(String(Int64.random(in: .min ... .max))) }
        switch (wanted.type, parameters["id"]?.array) {
        case ("long", _): parameters["random_id"] = random()
        // One for each message.
        case ("Vector<long>", let messages?): parameters["random_id"] = .array(messages.map { _ in random() })
        default: break
        }
        return parameters
    }

    /// What went wrong, for scripts.
    static func told(_ error: any Error, of method: String?) -> JSONObject {
        var told = ErrorCoding.encode(error)
        told["method"] = method.map { .string($0) }
        return told
    }
}
