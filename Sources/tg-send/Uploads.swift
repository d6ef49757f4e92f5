import Blob
import Envelope
import JSON
import Redis
import Stage
import Synchronization
import BotAPI

/// Why a file cannot be uploaded, by whomever.
enum UploadFailure: Sendable {
    case tooLarge(sizeBytes: Int64)
    case noCopy(String)

    fileprivate var json: JSONObject {
        switch self {
        case .tooLarge(let size): ["too_large": .integer(size)]
        case .noCopy(let reason): ["no_copy": .string(reason)]
        }
    }

    fileprivate init?(_ json: JSONObject) {
        if let size = json["too_large"]?.int {
            self = .tooLarge(sizeBytes: size)
        } else if let reason = json["no_copy"]?.string {
            self = .noCopy(reason)
        } else {
            return nil
        }
    }
}

/// What came of wanting to upload a file.
enum Uploaded: Sendable {
    case sent(JSON)
    case sentByAnother
    case delayed(Sender.Delay)
    case failed(UploadFailure)
}

extension Sender {
    /// It is not this chat's turn: somebody else's may be the one that uploads.
    private struct NotNow: Error {
        let wait: Duration
    }

    /// Uploads an object by sending it, unless another event, whichever process has it, is just about to.
    func uploadOnce(
        _ key: String, _ copies: LocalCopies, _ job: Job, _ waiter: Waiter
    ) async throws -> Uploaded {
        let own = Mutex<JSON?>(nil)
        let answer: SharedWork.Answer
        do {
            answer = try await uploads.answer(key, for: waiter) {
                // Somebody may have been done with it between this event's look for the file_id and its turn.
                if await shared.cachedFile(key) != nil { return SharedWork.Product(["sent": true]) }
                if let wait = await turn(job, .message) { throw NotNow(wait: wait) }
                if let failure = try await upload(copies, job, { message in own.withLock { $0 = message } }) {
                    return SharedWork.Product(failure.json)
                }
                if let file = own.withLock({ $0 }).flatMap({ SentFile($0) }) {
                    await shared.cache(file.cached, for: key)
                }
                return SharedWork.Product(["sent": true])
            }
        } catch let error as NotNow {
            return .delayed(.later(error.wait))
        }
        // What was sent was sent, also when another has taken over meanwhile.
        if let message = own.withLock({ $0 }) { return .sent(message) }
        switch answer {
        case .held(let limit): return .delayed(.held(limit))
        case .result(let result): return UploadFailure(result).map { .failed($0) } ?? .sentByAnother
        }
    }

    /// - Returns: why nobody can.
    private func upload(
        _ copies: LocalCopies, _ job: Job, _ onSent: (JSON) -> Void
    ) async throws -> UploadFailure? {
        let file: OpenFile
        do throws(NoCopy) {
            file = try await copies.open(job.event.payload)
        } catch {
            if error.isTemporary, !isLastTry(job) { throw TelegramError(.network, error.reason) }
            return .noCopy(error.reason)
        }
        do {
            onSent(try await upload(file, job))
            return nil
        } catch let error where error.code == .tooLarge {
            return .tooLarge(sizeBytes: file.sizeBytes)
        }
    }

    private func isLastTry(_ job: Job) -> Bool {
        isFromQueue ? job.context?.isLastAttempt ?? true : job.attempts >= options.retries
    }
}
