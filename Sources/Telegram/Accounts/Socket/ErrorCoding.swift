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
    private enum Key {
        static let kind = "kind"
        static let message = "message"
        static let exit = "exit"
        static let code = "code"
        static let name = "name"
        static let value = "value"
        static let text = "text"
        static let reason = "reason"
        static let path = "path"
        static let offset = "offset"
    }

    package static func encode(_ error: any Error) -> JSONObject {
        var object: JSONObject =
            switch error {
            case let error as TelegramRPCError:
                [
                    Key.kind: "rpc", Key.code: .integer(Int64(error.code)), Key.name: .string(error.name),
                    Key.value: error.value.map { .integer(Int64($0)) }, Key.text: .string(error.text),
                ]
            case let error as MTProtoError: [Key.kind: "mtproto", Key.name: .string(error.code.rawValue)]
            case let error as TLError:
                [
                    Key.kind: "tl", Key.name: .string(error.code.rawValue), Key.reason: .string(error.reason),
                    Key.path: .string(error.path), Key.offset: error.offset.map { .integer(Int64($0)) },
                ]
            case let error as AccountError: [Key.kind: .string(error.kind), Key.name: .string(error.name)]
            case is CancellationError: [Key.kind: "client", Key.name: .string(AccountError.Code.cancelled.rawValue)]
            default: [Key.kind: "other"]
            }
        let known = error as? any ReportableError
        object[Key.message] = .string(known?.message ?? "the call was cancelled")
        object[Key.exit] = .integer(Int64((known?.exitStatus ?? .unavailable).rawValue))
        return object
    }

    /// Returns the error that `encode` converted; of an unknown kind or name, a `ToolError` with the same message and exit status.
    static func decode(_ json: JSON) -> any ReportableError {
        let message = json[Key.message]?.string ?? "the session's owner reported an error without a message"
        let name = json[Key.name]?.string ?? ""
        let known: (any ReportableError)? =
            switch json[Key.kind]?.string {
            case "rpc": TelegramRPCError(code: Int(json[Key.code]?.int ?? 0), text: json[Key.text]?.string ?? name)
            case "mtproto": MTProtoError.Code(rawValue: name).map { MTProtoError($0, message) }
            case "tl":
                TLError.Code(rawValue: name).map { code in
                    TLError(
                        code, json[Key.reason]?.string ?? message, path: json[Key.path]?.string ?? "",
                        offset: (json[Key.offset]?.int).map { Int($0) })
                }
            case let kind?: AccountError(kind: kind, name: name, message: message)
            default: nil
            }
        let status = (json[Key.exit]?.int).flatMap { ExitStatus(rawValue: Int32(truncatingIfNeeded: $0)) }
        return known ?? ToolError(status ?? .unavailable, message)
    }
}
