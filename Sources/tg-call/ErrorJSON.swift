import Envelope
import MTProto
import TL

extension ReportableError {
    /// What went wrong, for scripts: what Telegram said in parts, the place in the JSON that was wrong, the exit status that it means.
    func told(of method: String?) -> JSONObject {
        let refusal = self as? TelegramRPCError
        let path = (self as? TLError)?.path ?? ""
        return [
            "code": refusal.map { .integer(Int64($0.code)) }, "name": refusal.map { .string($0.name) },
            "value": refusal?.value.map { .integer(Int64($0)) }, "text": refusal.map { .string($0.text) },
            "method": method.map { .string($0) }, "path": path.isEmpty ? nil : .string(path),
            "message": .string(message), "exit": .integer(Int64(exitStatus.rawValue)),
        ]
    }
}
