import Accounts
import JSON
import MTProto
import Synchronization
import TL

/// Records calls, and answers them with prepared answers.
final class FakeAccount: Account {
    typealias Answer = Result<JSON, TelegramRPCError>

    struct Call {
        let method: String
        let parameters: JSONObject
    }

    let userID: Int64 = 7
    let isBot = false
    let schema: TLSchema
    private let state: Mutex<(answers: [Answer], calls: [Call])>

    /// - Parameter answers: the answers to the calls, in their order.
    init(_ answers: Answer...) throws {
        schema = try TLSchema()
        state = Mutex((answers, []))
    }

    var calls: [Call] { state.withLock { $0.calls } }

    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue {
        let answer = state.withLock { state in
            state.calls.append(Call(method: method, parameters: parameters))
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let answer else { throw TelegramRPCError(code: 400, text: "UNEXPECTED_CALL") }
        return TLValue(json: try answer.get())
    }

    func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON {
        ["_": "inputFile", "id": "1", "name": .string(path)]
    }

    func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws {}

    func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        AsyncThrowingStream { $0.finish() }
    }

    func peer(_ id: Int64) async throws -> JSON? { nil }

    func sentByProgram(_ message: JSON) async throws -> Bool { false }
}

extension FakeAccount.Answer {
    /// An error of Telegram.
    static func error(_ text: String, code: Int = 400) -> FakeAccount.Answer {
        .failure(TelegramRPCError(code: code, text: text))
    }

    /// Returns Telegram's short answer to a message to a user.
    static func sent(_ id: Int64) -> FakeAccount.Answer {
        .success(["_": "updateShortSentMessage", "id": .integer(id), "date": 1_700_000_000, "out": true])
    }
}
