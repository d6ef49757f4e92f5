package import JSON
import MTProto
import System
import TL

/// Converts errors to JSON and back, for scripts and for the owner's socket.
///
/// Every object has `kind` (`rpc`, `mtproto`, `tl`, `account`, `client`, `other`), `message`, and `exit`, the exit status of a tool that
/// ends with the error. By kind it also has:
/// - `rpc`: `code`, `name`, `value` and `text` of Telegram's error.
/// - `tl`: `name`, `reason`, and the wrong value's `path` and `offset`.
/// - `mtproto`, `account` and `client`: `name`.
package enum ErrorCoding {
    package static func encode(_ error: any Error) -> JSONObject {
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
            case let error as AccountError: ["kind": .string(error.kind), "name": .string(error.name)]
            case is CancellationError: ["kind": "client", "name": .string(AccountError.Code.cancelled.rawValue)]
            default: ["kind": "other"]
            }
        let known = error as? any ReportableError
        object["message"] = .string(known?.message ?? "the call was cancelled")
        object["exit"] = .integer(Int64((known?.exitStatus ?? .unavailable).rawValue))
        return object
    }

    /// Returns the error that `encode` converted; of an unknown kind or name, a `ToolError` with the same message and exit status.
    static func decode(_ json: JSON) -> any ReportableError {
        let message = json["message"]?.string ?? "the session's owner reported an error without a message"
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
            case let kind?: AccountError(kind: kind, name: name, message: message)
            default: nil
            }
        let status = (json["exit"]?.int).flatMap { ExitStatus(rawValue: Int32(truncatingIfNeeded: $0)) }
        return known ?? ToolError(status ?? .unavailable, message)
    }
}
