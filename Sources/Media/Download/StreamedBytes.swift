import Crypto
import Synchronization
import System

/// Holds the bytes of a download on their way to a stream.
///
/// The beginning stays in memory until it shows whether the file will be kept as it is; only then it goes to the stream. Everything
/// else needs the whole file, and goes to the disk. At most two pieces are in memory: one that is being filled, and one that the
/// stream is taking.
///
/// `@unchecked Sendable`: the thread of the download calls `take` and `restart`, and a task calls `serve`; what both use is in the
/// monitor.
final class StreamedBytes: @unchecked Sendable {
    /// Says what becomes of a file, by its beginning.
    enum Verdict: Sendable {
        /// The file is kept as it is.
        case kept(MediaProbe?)
        case needsDisk
    }

    /// Judges a file. The beginning of a movie holds its index; of other files it is some thousand bytes.
    typealias Judge = @Sendable (_ beginning: [UInt8], _ sizeBytes: Int64?) async throws(MediaError) -> Verdict

    private enum Order: Sendable {
        case judge([UInt8], sizeBytes: Int64?)
        case take(Piece, number: Int)
    }

    /// Holds a piece until it is taken out, so that no copy of the order keeps its memory.
    private final class Piece: Sendable {
        private let bytes: Mutex<[UInt8]>

        init(_ bytes: [UInt8]) { self.bytes = Mutex(bytes) }

        func takeOut() -> [UInt8] {
            bytes.withLock { bytes in
                defer { bytes = [] }
                return bytes
            }
        }
    }

    private enum Answer {
        case stream(pieceBytes: Int, MediaProbe?)
        case disk
        case taken
    }

    private struct State {
        var isBusy = false
        var answer: Answer?
        var failure: MediaError?
        var waited = Duration.zero
    }

    private enum Place { case memory, stream, disk }

    /// The longest beginning that is looked at. The index of a film of two hours has some megabytes.
    private static let longestBeginning = 8 << 20
    private static let margin: Int64 = 1 << 20
    /// The bytes by which the memory of a beginning grows.
    private static let step = 1 << 20

    private let stream: any DownloadStream
    private let judge: Judge
    /// The most bytes that a file in the stream may have.
    let maxBytes: Int64
    private let (orders, sending) = AsyncStream.makeStream(of: Order.self)
    private let state = Monitor(State())

    private var place = Place.memory
    private var bytes: [UInt8] = []
    private var pieceBytes = 0
    private var pieces = 0
    private var count: Int64 = 0
    private var index = MovieIndex(margin: margin)
    private var walk = MovieWalk()
    private var hash = SHA256()
    private(set) var probe: MediaProbe?

    init(_ stream: any DownloadStream, maxBytes: Int64, judge: @escaping Judge) {
        (self.stream, self.maxBytes, self.judge) = (stream, maxBytes, judge)
    }

    /// Is true if the bytes are going to the stream.
    var isStreaming: Bool { place == .stream }

    /// The time for which the thread of the download has waited for the stream.
    var waited: Duration { state.read { $0.waited } }

    /// Passes the bytes on until the task is cancelled, or `close` was called.
    func serve() async {
        for await order in orders {
            let result: Result<Answer, MediaError>
            do throws(MediaError) { result = .success(try await carryOut(order)) } catch { result = .failure(error) }
            state.update { state in
                state.isBusy = false
                switch result {
                case .success(let answer): state.answer = answer
                case .failure(let error): state.failure = error
                }
            }
        }
        state.update { state in
            state.isBusy = false
            state.failure = state.failure ?? .cancelled
        }
    }

    func close() { sending.finish() }

    private func carryOut(_ order: Order) async throws(MediaError) -> Answer {
        switch order {
        case .judge(let beginning, let sizeBytes):
            guard case .kept(let probe) = try await judge(beginning, sizeBytes),
                let pieceBytes = try await stream.begin(sizeBytes: sizeBytes, atMost: maxBytes)
            else { return .disk }
            return .stream(pieceBytes: max(1, pieceBytes), probe)
        case .take(let piece, let number):
            try await stream.take(piece.takeOut(), as: number)
            return .taken
        }
    }

    /// Takes bytes; blocks while the stream is taking earlier ones.
    ///
    /// - Parameter sizeBytes: the size that the server gives; nil if it gives none.
    /// - Returns: nil, or the bytes so far if the file has to be on the disk. They are not asked for again.
    func take(_ new: UnsafeRawBufferPointer, sizeBytes: Int64?) throws(MediaError) -> [UInt8]? {
        walk.pass(new, at: count)
        count += Int64(new.count)
        hash.update(new)
        switch place {
        case .disk: return nil
        case .stream: try fill(new)
        case .memory:
            if bytes.capacity < bytes.count + new.count {
                bytes.reserveCapacity(bytes.count + max(new.count, StreamedBytes.step))
            }
            bytes.append(contentsOf: new)
            guard let isWanted = try isWanted(sizeBytes) else { return nil }
            guard isWanted else { return leave() }
            let beginning = leave()
            place = .stream
            try beginning.withUnsafeBytes { buffer in Result { () throws(MediaError) in try fill(buffer) } }.get()
        }
        return nil
    }

    /// Gives up the stream, and returns what is in memory.
    func leave() -> [UInt8] {
        defer { bytes = [] }
        place = .disk
        return bytes
    }

    /// Begins anew, because the download does.
    func restart() {
        guard place != .disk else { return }
        place = .memory
        (bytes, pieces, count, probe) = ([], 0, 0, nil)
        (index, walk) = (MovieIndex(margin: StreamedBytes.margin), MovieWalk())
        hash = SHA256()
    }

    /// Returns whether a file of this length should be longer, by its own structure.
    func isCutOff() -> Bool { walk.isCutOff(at: count) }

    /// Sends the last piece, and waits until the stream has all.
    ///
    /// - Returns: the SHA-256 of all bytes, in hex.
    func finish() async throws(MediaError) -> String {
        let result = await BlockingThread.once {
            Result { () throws(MediaError) in
                if !self.bytes.isEmpty { try self.sendPiece() }
                _ = try self.wait()
            }
        }
        try result.get()
        return hash.finish()
    }

    /// Returns whether the stream takes the file; nil if more bytes have to be seen.
    private func isWanted(_ sizeBytes: Int64?) throws(MediaError) -> Bool? {
        guard bytes.count > stream.leastBytes, bytes.count >= MediaSignature.length else { return nil }
        if MediaSignature.isPlausible(Array(bytes.prefix(MediaSignature.length))) {
            guard index.becomesComplete(in: .memory(bytes), size: Int64(bytes.count)) else {
                return index.isGivenUp || bytes.count > StreamedBytes.longestBeginning ? false : nil
            }
        }
        // After a new beginning, the stream may still be taking a piece of the first one.
        _ = try wait()
        try order(.judge(bytes, sizeBytes: sizeBytes))
        guard case .stream(let pieceBytes, let probe)? = try wait() else { return false }
        (self.pieceBytes, self.probe) = (pieceBytes, probe)
        return true
    }

    private func fill(_ new: UnsafeRawBufferPointer) throws(MediaError) {
        var rest = new
        while !rest.isEmpty {
            if bytes.capacity < pieceBytes { bytes.reserveCapacity(pieceBytes) }
            let part = min(rest.count, pieceBytes - bytes.count)
            bytes.append(contentsOf: rest[..<part])
            rest = UnsafeRawBufferPointer(rebasing: rest[part...])
            if bytes.count == pieceBytes { try sendPiece() }
        }
    }

    private func sendPiece() throws(MediaError) {
        _ = try wait()
        pieces += 1
        let piece = Piece(bytes)
        bytes = []
        try order(.take(piece, number: pieces))
    }

    private func order(_ order: Order) throws(MediaError) {
        let failure = state.update { state in
            if state.failure == nil { (state.isBusy, state.answer) = (true, nil) }
            return state.failure
        }
        if let failure { throw failure }
        sending.yield(order)
    }

    /// Waits until the last order is carried out, and returns the answer to it.
    private func wait() throws(MediaError) -> Answer? {
        let start = ContinuousClock.now
        let result: Result<Answer?, MediaError>? = state.wait { state in
            guard !state.isBusy else { return nil }
            state.waited += .now - start
            return state.failure.map { .failure($0) } ?? .success(state.answer)
        }
        return try result?.get()
    }
}
