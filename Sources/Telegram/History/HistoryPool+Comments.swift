import JSON
package import Payloads

/// The reading of comments, post by post.
extension HistoryPool {
    /// Reads the comments on posts of a channel, which an account has read.
    ///
    /// - Throws: as `read`.
    package func readComments(
        of channel: ChatID, posts: [Int32], write: @escaping @Sendable ([UInt8]) async throws -> Void,
        onProgress: @escaping @Sendable (ReadingProgress) -> Void
    ) async throws {
        guard !posts.isEmpty else { return }
        _ = try await run(
            channel, HistoryBounds(), accountID: nil, comments: CommentsReading(posts: posts), write, onProgress)
    }

    /// Returns the next call of a job for comments.
    func readComments(
        _ number: Int, _ member: PoolMember, _ facts: ChatFacts, at now: ContinuousClock.Instant
    ) -> Assignment? {
        guard let job = jobs[number], var comments = job.comments, let request = comments.nextRequest() else {
            return nil
        }
        let (method, parameters) = request.call(facts)
        guard let assignment = make(.comments(request), job, member, method, parameters, at: now) else { return nil }
        jobs[number]?.comments = comments
        jobs[number]?.facts = facts
        return assignment
    }

    /// Takes the facts of an answer with comments.
    func take(
        _ page: HistoryPage, _ request: CommentsReading.Request, _ assignment: Assignment
    ) -> (taken: CommentsReading.Taken, progress: ReadingProgress)? {
        guard var comments = jobs[assignment.job]?.comments else { return nil }
        let taken = comments.take(page, for: request)
        jobs[assignment.job]?.comments = comments
        dispatch()
        let (posts, left) = comments.progress
        let progress = ReadingProgress(
            chatID: assignment.facts?.linkedChatID ?? 0, title: "Comments of \(assignment.facts?.title ?? "")",
            added: Int64(taken.kept.count), messages: comments.keptCount, total: nil, idsWanted: posts,
            idsLeft: left, newest: nil)
        return (taken, progress)
    }

    /// Leaves out a post whose comments Telegram does not show.
    func skip(_ request: CommentsReading.Request, _ assignment: Assignment) {
        jobs[assignment.job]?.comments?.skip(request)
    }
}
