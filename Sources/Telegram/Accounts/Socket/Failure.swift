package import JSON
import MTProto
import System
import TL

/// Errors as JSON: for scripts, and over an owner's socket, at whose other end they are the same again.
///
/// `kind` (`rpc`, `mtproto`, `tl`, `account`, `client`, `other`), `message`, `exit` (the status that a tool ends with), and by kind:
/// `code`, `name`, `value` and `text` of what Telegram said; `name` of the others; `path` and `offset` of a value that is wrong.
package enum Failure {
    package static func json(_ error: any Error) -> JSONObject {
        var object: JSONObject =
            switch error {
            case let error as TelegramRPCError:
                [
                    "kind": "rpc", "code": .integer(Int64(error.code)), "name": .string(error.name),
                    "value": error.value.map { .integer(Int64($0)) }, "text": .string(error.text),
                ]
            case let error as MTProtoError: ["kind": "mtproto", "name": .string(error.code.rawValue)]
            case let error as TLError:
                [
                    "kind": "tl", "name": .string(error.code.rawValue), "reason": .string(error.reason),
                    "path": .string(error.path), "offset": error.offset.map { .integer(Int64($0)) },
                ]
            case let error as AccountError: ["kind": "account", "name": .string(error.code.rawValue)]
            case let error as ClientError: ["kind": "client", "name": .string(error.code.rawValue)]
            case is CancellationError: ["kind": "client", "name": .string(ClientError.Code.cancelled.rawValue)]
            default: ["kind": "other"]
            }
        let known = error as? any ReportableError
        object["message"] = .string(known?.message ?? "the call was given up")
        object["exit"] = .integer(Int64((known?.exitStatus ?? .unavailable).rawValue))
        return object
    }

    /// The error that `json` was made of.
    static func error(_ json: JSON) -> any ReportableError {
        let message = json["message"]?.string ?? "the session's owner does not say what went wrong"
        let name = json["name"]?.string ?? ""
        let known: (any ReportableError)? =
            switch json["kind"]?.string {
            case "rpc": TelegramRPCError(code: Int(json["code"]?.int ?? 0), text: json["text"]?.string ?? name)
            case "mtproto": MTProtoError.Code(rawValue: name).map { MTProtoError($0, message) }
            case "tl":
                TLError.Code(rawValue: name).map { code in
                    TLError(
                        code, json["reason"]?.string ?? message, path: json["path"]?.string ?? "",
                        offset: (json["offset"]?.int).map { Int($0) })
                }
            case "account": AccountError.Code(rawValue: name).map { AccountError($0, message) }
            case "client": ClientError.Code(rawValue: name).map { ClientError($0, message) }
            default: nil
            }
        let status = (json["exit"]?.int).flatMap { ExitStatus(rawValue: Int32(truncatingIfNeeded: $0)) }
        return known ?? ToolError(status ?? .unavailable, message)
    }
}
