import Spool
import System

/// What a pipe can still take, in pages: splice uses up one for each page of the file that it takes from, and one for each call.
///
/// With it, only whole lines go into a pipe as long as they fit: who kills the process leaves no half line there.
struct PipeRoom {
    private static let pageBytes: Int64 = 4096

    private let pages: Int
    /// All that went in, and for each page in use what it ends at of that.
    private var sentBytes = 0
    private var ends: [Int] = []
    private var first = 0

    init(pipe: Int32) { pages = PipeCalls.pages(pipe) }

    /// How many bytes from the beginning of a stretch can go in together: whole lines, or a part of one that is longer than the pipe.
    mutating func fitting(_ stretch: Stretch, unread: Int) -> Int {
        let taken = sentBytes - unread
        while first < ends.count, ends[first] <= taken { first += 1 }
        if first > 1024 {
            ends.removeFirst(first)
            first = 0
        }
        let free = pages - (ends.count - first)
        let inPage = stretch.offset % PipeRoom.pageBytes
        let room = Int64(free) * PipeRoom.pageBytes - inPage
        guard free > 0, room > 0 else { return 0 }
        // The lines' ends are in order.
        var (low, high) = (0, stretch.ends.count)
        while low < high {
            let middle = (low + high) / 2
            if Int64(stretch.ends[middle]) <= room { low = middle + 1 } else { high = middle }
        }
        if low > 0 { return stretch.ends[low - 1] }
        let longest = Int64(pages) * PipeRoom.pageBytes - inPage
        return Int64(stretch.ends.first ?? 0) > longest ? Int(room) : 0
    }

    /// Notes that bytes went in, from a place in a file.
    mutating func add(_ count: Int, from offset: Int64) {
        var end = (offset / PipeRoom.pageBytes + 1) * PipeRoom.pageBytes
        while end < offset + Int64(count) {
            ends.append(sentBytes + Int(end - offset))
            end += PipeRoom.pageBytes
        }
        sentBytes += count
        ends.append(sentBytes)
    }
}
