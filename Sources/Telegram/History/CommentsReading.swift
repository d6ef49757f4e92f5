/// Reads the comments on the posts of a channel, post by post, where the group that holds them cannot be read as a whole.
///
/// This is a state machine, as `ChatReading` is. Pages are requested by `offset_id`; a short page is not the end. Whether an id is that of
/// a comment that may not be shown cannot be asked, so the comments on a post end with an empty page, or when all that Telegram tells
/// of have been read.
///
/// Source: https://core.telegram.org/api/discussion
struct CommentsReading: Sendable {
    /// Asks for the comments on a post below an id (0: from the newest on).
    struct Request: Sendable, Equatable {
        let post: Int64
        let offsetID: Int64
    }

    struct Taken: Sendable, Equatable {
        /// The ids of the comments to keep, newest first.
        var kept: [Int64] = []
        /// The number of all comments that were kept of the post, once it is read.
        var finished: Int64?
    }

    private struct Post {
        let id: Int64
        var cursor: Int64 = 0
        var kept: Int64 = 0
        var isAsked = false
    }

    /// The posts that are still to be read, the next one last.
    private var waiting: [Int32]
    private var open: [Post] = []
    private(set) var keptCount: Int64 = 0
    private let postCount: Int

    /// - Parameter posts: the ids of the posts that have comments.
    init(posts: [Int32]) {
        waiting = posts
        postCount = posts.count
    }

    var isDone: Bool { waiting.isEmpty && open.isEmpty }

    /// The number of posts, and of those that are not read yet.
    var progress: (posts: Int64, left: Int64) { (Int64(postCount), Int64(waiting.count + open.count)) }

    /// Returns the next request; nil if all that is left is being asked for.
    mutating func nextRequest() -> Request? {
        if !open.contains(where: { !$0.isAsked }) {
            guard let next = waiting.popLast() else { return nil }
            open.append(Post(id: Int64(next)))
        }
        guard let index = open.firstIndex(where: { !$0.isAsked }) else { return nil }
        open[index].isAsked = true
        return Request(post: open[index].id, offsetID: open[index].cursor)
    }

    /// Gives a request back that was not answered.
    mutating func release(_ request: Request) {
        if let index = open.firstIndex(where: { $0.id == request.post }) { open[index].isAsked = false }
    }

    /// Leaves a post out, because Telegram does not show its comments.
    mutating func skip(_ request: Request) { open.removeAll { $0.id == request.post } }

    /// Takes the answer to a request.
    mutating func take(_ page: HistoryPage, for request: Request) -> Taken {
        guard let index = open.firstIndex(where: { $0.id == request.post }) else { return Taken() }
        var taken = Taken()
        let ids = page.items.map(\.id).filter {
            $0 > 0 && $0 < HistoryBounds.largestID && (request.offsetID == 0 || $0 < request.offsetID)
        }
        taken.kept = Set(ids).sorted(by: >)
        keptCount += Int64(taken.kept.count)
        open[index].kept += Int64(taken.kept.count)
        open[index].isAsked = false
        if let lowest = taken.kept.last, !page.isWhole, open[index].kept < page.total ?? .max {
            open[index].cursor = lowest
        } else {
            taken.finished = open[index].kept
            open.remove(at: index)
        }
        return taken
    }
}
